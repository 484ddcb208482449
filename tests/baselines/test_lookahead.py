"""Look-ahead, against plain replays from the beginning of the episode."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from satfl_baselines import LookAhead, make_policy, outlook, run_episode
from satfl_env import Decision, Simulation, scenarios
from satfl_env.scenarios import Scenario
from tests.envs.test_twins import assert_equal

TINY = scenarios.load("leo-multitask", **{"rounds.episode": 4, "training.max_epochs": 3, "data.test_samples": 32})
EARLY = scenarios.load(
    "leo-multitask", **{"rounds.episode": 5, "training.max_epochs": 3, "target": {"metric": "accuracy", "value": 0.32}}
)
BASE = make_policy("semspacefl")
CANDIDATES = {name: make_policy(name) for name in ("individual", "task-clustering", "nearest-fedavg")}


def after(scenario: Scenario, decisions: Sequence[Decision], rounds: int) -> float:
    """The metric after some decisions and then `rounds` of the base policy, or at the end, in an episode of its own."""
    simulation, target = scenarios.build(scenario), scenario.target
    state = simulation.reset(3)
    metric = "balanced_accuracy" if target is None else target.metric
    for number in range(len(decisions) + rounds):
        if number and (simulation.finished or (target is not None and target.reached(simulation.test.metrics))):
            break
        state, _ = simulation.step(decisions[number] if number < len(decisions) else BASE(state))
    return float(simulation.test.metrics[metric].mean())


def started(seed: int = 3, rounds: int = 2, scenario: Scenario = TINY) -> Simulation:
    simulation = scenarios.build(scenario)
    state = simulation.reset(seed)
    for _ in range(rounds):
        state, _ = simulation.step(BASE(state))
    return simulation


@pytest.mark.parametrize(("scenario", "depth"), [(TINY, 1), (TINY, 3), (EARLY, 5)])
def test_values_are_those_of_replays(scenario, depth):
    simulation = started(rounds=1, scenario=scenario)
    first = BASE(started(rounds=0).state)
    decisions = {name: policy(simulation.state) for name, policy in CANDIDATES.items()}
    replayed = {name: after(scenario, [first, decision], depth - 1) for name, decision in decisions.items()}
    assert outlook(simulation, decisions, BASE, depth, scenario.target) == replayed
    assert len(set(replayed.values())) > 1
    if scenario.target is not None:
        assert outlook(simulation, decisions, BASE, depth) != replayed


@pytest.mark.parametrize(("scenario", "depth"), [(TINY, 1), (TINY, 2), (TINY, None), (EARLY, 2)])
def test_each_round_takes_what_is_best_in_a_replay_of_all_candidates(scenario, depth):
    look_ahead = LookAhead(scenario, 3, CANDIDATES, base=BASE, depth=depth)
    policies, taken = {"base": BASE, **CANDIDATES}, []

    def checked(state):
        decision = look_ahead(state)
        later = scenario.rounds.episode if depth is None else depth - 1
        values = {name: after(scenario, [*taken, policy(state)], later) for name, policy in policies.items()}
        assert values[look_ahead.chosen[-1]] == max(values.values())
        taken.append(decision)
        return decision

    episode = run_episode(scenario, checked, 3)
    assert len(look_ahead.chosen) == len(episode) - 1
    assert set(look_ahead.chosen) - {"base"}


def test_as_deep_as_the_episode_it_never_ends_below_its_base():
    gains = []
    for seed in range(4):
        best, base = (
            run_episode(TINY, policy, seed)[-1]["balanced_accuracy"]
            for policy in (LookAhead(TINY, seed, CANDIDATES, base=BASE), BASE)
        )
        gains.append(best - base)
    assert min(gains) >= 0 < max(gains)


def test_looking_ahead_leaves_no_trace():
    simulation, twin = started(), started()
    decisions = {name: policy(simulation.state) for name, policy in CANDIDATES.items()}
    assert outlook(simulation, decisions, BASE, 2) == outlook(simulation, decisions, BASE, 2)
    assert_equal(simulation.get_state(), twin.get_state())
    for one in (simulation, twin):
        one.step(BASE(one.state))
    assert_equal(simulation.get_state(), twin.get_state())


def test_without_candidates_it_is_its_base():
    look_ahead = LookAhead(TINY, 1, {}, base=BASE, depth=1)
    assert run_episode(TINY, look_ahead, 1) == run_episode(TINY, BASE, 1)
    # The next episode begins with its first round.
    assert run_episode(TINY, look_ahead, 1) == run_episode(TINY, BASE, 1)


def test_it_decides_on_its_own_episode_alone():
    look_ahead = LookAhead(TINY, 1, {}, base=BASE, depth=1)
    with pytest.raises(ValueError, match="round 0 of seed 1 comes next, got another state, of round 0"):
        look_ahead(started(seed=2, rounds=0).state)
    with pytest.raises(ValueError, match="round 0 of seed 1 comes next, got another state, of round 2"):
        look_ahead(started(seed=1, rounds=2).state)
    for depth, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="depth"):
            LookAhead(TINY, 1, {}, base=BASE, depth=depth)
    with pytest.raises(ValueError, match="other names than 'base'"):
        LookAhead(TINY, 1, {"base": BASE}, base=BASE)
    assert np.isfinite(run_episode(TINY, look_ahead, 1)[-1]["balanced_accuracy"])


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(Path(__file__).parents[2] / "examples" / "look_ahead.py"))


def test_the_example_takes_the_metric_of_the_target(example):
    final = run_episode(EARLY, BASE, 0)[-1]
    assert final["accuracy"] != final["balanced_accuracy"]
    assert example["_finals"](EARLY, [BASE]).tolist() == [final["accuracy"]]


def test_the_example_tells_what_looking_ahead_gains(tmp_path, capsys, example):
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY.model_dump(mode="json")))
    example["main"](str(file), 2, 4)
    lines = capsys.readouterr().out.splitlines()
    rules, (ahead, gain) = lines[:-2], lines[-2:]
    assert len(rules) == len(example["RULES"])
    best = max(float(line.split()[-3]) for line in rules)
    assert float(ahead.split()[-3]) >= best
    assert float(gain.split()[-3]) == pytest.approx(float(ahead.split()[-3]) - best, abs=0.0011)
