from __future__ import annotations

from collections import Counter

import pytest

from satfl_baselines import make_policy, run_episode
from satfl_env import Outcome
from satfl_env.links import IdealLinks
from satfl_env.scenarios import build, load
from tests.factories import physics_only

SCENARIO = physics_only(2)


class Nearest:
    """A policy that is false in a condition, as an empty container is."""

    def __len__(self):
        return 0

    def __call__(self, state):
        return make_policy("nearest-fedavg")(state)


def test_a_policy_is_a_function_or_a_name():
    nearest, full = (run_episode(SCENARIO, policy, 0) for policy in ("nearest-fedavg", "full"))
    assert run_episode(SCENARIO, Nearest(), 0) == nearest != full


def test_the_seed_is_also_that_of_a_random_policy():
    assert run_episode(SCENARIO, "random", 3) == run_episode(SCENARIO, make_policy("random", 3), 3)
    assert run_episode(SCENARIO, "random", 3) != run_episode(SCENARIO, make_policy("random", 4), 3)


def test_a_scenario_may_be_a_name_or_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(SCENARIO.model_dump_json())
    assert run_episode(file, "full", 0) == run_episode(SCENARIO, "full", 0)
    episode = run_episode("task-clustering-mini", "individual", 0)
    assert episode == run_episode(load("task-clustering-mini"), "individual", 0)


def test_own_parts_take_the_place_of_the_scenarios():
    silent = IdealLinks(rate_bps=1.0, transmit_power_w=0.0)
    plain, slow = run_episode(SCENARIO, "full", 0), run_episode(SCENARIO, "full", 0, parts={"links": silent})
    assert sum(record["epochs"] for record in plain) > 0
    assert sum(record["epochs"] for record in slow) == 0


def test_a_record_counts_outcomes_by_name_and_bits():
    scenario = physics_only(3)
    simulation, decide = build(scenario), make_policy("random", 0)
    state, records = simulation.reset(0), run_episode(scenario, "random", 0)
    for record in records[1:]:
        state, report = simulation.step(decide(state))
        counts = Counter(report.outcome.tolist())
        for outcome in Outcome:
            assert record[outcome.name.lower()] == counts[outcome], outcome
        assert record["upload_bits"] == report.upload_model_bits * (report.upload_s > 0).sum() > 0
        assert record["download_bits"] == report.download_model_bits * (report.download_s > 0).sum() > 0


@pytest.mark.parametrize(("policy", "error"), [(3, TypeError), (None, TypeError), ("fulll", ValueError)])
def test_what_is_no_policy_is_named(policy, error):
    with pytest.raises(error, match=f"policy .*{policy}"):
        run_episode(SCENARIO, policy, 0)


@pytest.mark.parametrize(("value", "kind", "problem"), [(float("nan"), ValueError, "a finite"), (None, TypeError, "a")])
def test_a_reward_that_is_no_number_is_told_with_policy_round_and_seed(value, kind, problem):
    def fairness(report):
        return value if report.round == 1 else 0.0

    place = "the reward of the policy nearest-fedavg in round 1 of seed 5: "
    with pytest.raises(kind, match=f"{place}reward term 'fairness' must give {problem} number, got"):
        run_episode(SCENARIO, "nearest-fedavg", 5, reward=fairness)
