from __future__ import annotations

import re
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines import Policy, RuleNumbers, make_policy, rule_policy, run_episode
from satfl_baselines.aggregation import fed_sel
from satfl_baselines.association import balanced, longest_window
from satfl_baselines.clustering import in_two_stages, jensen_shannon, threshold_between
from satfl_baselines.epochs import predicted_epochs
from satfl_baselines.frequency import closed_form, just_in_time, thrifty
from satfl_baselines.rule import names
from satfl_env import Decision, NetworkState, check_decision
from tests.factories import make_state, physics_only

UNCLUSTERED = {"early_threshold": 0.0, "late_threshold": 0.0}
BOTH_PAPERS = Policy("both", "", longest_window, closed_form, jensen_shannon, fed_sel)
# Policies of the papers, as the numbers in which they differ from `full`.
PAPERS = {
    "semspacefl": UNCLUSTERED,
    "proposed-fedavg": {**UNCLUSTERED, "epochs_power": 0.0, "credit_power": 0.0},
    "proposed-fedavep": {**UNCLUSTERED, "credit_power": 0.0},
    "proposed-fedlol": {**UNCLUSTERED, "samples_power": 0.0, "epochs_power": 0.0},
    "gateway-mean-fedsel": {**UNCLUSTERED, "gateway_mean": 1.0},
    "nearest-fedavg": {**UNCLUSTERED, "epochs_power": 0.0, "credit_power": 0.0, "nearness": 1.0},
    "task-clustering": {"samples_power": 0.0, "epochs_power": 0.0, "credit_power": 0.0},
    "max-frequency": {"speed": 1.0},
}
in_cube = st.lists(st.floats(0, 1), min_size=len(names()), max_size=len(names()))


def drawn_state(seed: int, num_satellites: int = 8, num_gateways: int = 3) -> NetworkState:
    rng = np.random.default_rng(seed)
    visible = rng.random((num_satellites, num_gateways)) < 0.6
    half = np.triu(rng.uniform(0.3, 1, (num_satellites, num_satellites)), 1)
    return make_state(
        num_satellites,
        num_gateways,
        round=int(rng.integers(30)),
        visible=visible,
        window_s=np.where(visible, rng.uniform(0, 500, visible.shape), 0.0),
        link_s=rng.uniform(0, 20, visible.shape),
        distance_m=rng.uniform(5e5, 3e6, visible.shape),
        energy_j=np.maximum(rng.normal(50, 50, num_satellites), 0),
        samples=rng.integers(1, 300, num_satellites),
        last_loss=rng.uniform(0, 3, num_satellites),
        similarity=half + half.T + np.eye(num_satellites),
    )


def assert_same(one: Decision, other: Decision) -> None:
    for field in fields(Decision):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


@pytest.mark.parametrize("name", PAPERS)
def test_policies_of_the_papers_are_cases_of_the_rule(name):
    rule = rule_policy(RuleNumbers(**PAPERS[name]))
    for seed in range(20):
        state = drawn_state(seed)
        assert_same(rule(state), make_policy(name)(state))


def test_full_is_the_rules_of_both_papers_together():
    for seed in range(20):
        state = drawn_state(seed)
        assert_same(make_policy("full")(state), BOTH_PAPERS(state))
    scenario = physics_only(4)
    assert run_episode(scenario, "full", 1) == run_episode(scenario, BOTH_PAPERS, 1)


@settings(max_examples=60, deadline=None)
@given(vector=in_cube, seed=st.integers(0, 2**32))
def test_every_point_of_the_unit_cube_is_a_rule_that_decides_within_bounds(vector, seed):
    numbers = RuleNumbers.from_vector(vector)
    assert numbers.to_vector() == pytest.approx(vector, abs=1e-12)
    state = drawn_state(seed)
    decision = rule_policy(numbers)(state)
    check_decision(decision, state)
    assert (decision.weights <= 1).all()
    assert (decision.cpu_frequency[decision.associated] <= state.cpu_max_hz[decision.associated]).all()


def test_vectors_reach_both_ends_of_every_range():
    number = len(names())
    assert list(RuleNumbers.from_vector(np.zeros(number)).to_vector()) == [0] * number
    assert list(RuleNumbers.from_vector(np.full(number, 7.0)).to_vector()) == [1] * number
    highest = RuleNumbers.from_vector(np.ones(number))
    assert (highest.switch, highest.load, highest.credit_power, highest.charge_share) == (1, 2, 2, 1)
    for name in ("fine", "curriculum", "thrifty"):
        assert make_policy(name).name == name
    assert RuleNumbers.from_vector(RuleNumbers().to_vector()) == RuleNumbers()


@pytest.mark.parametrize(
    "vector",
    [
        [0.5],
        [[0.5] * len(names())],
        [*[0.5] * (len(names()) - 1), np.nan],
        ["0.5"] * len(names()),
        [0.5j] * len(names()),
        [True] * len(names()),
        "fine",
        None,
    ],
)
def test_what_is_no_vector_of_a_rule_is_refused(vector):
    with pytest.raises(ValueError, match=r"a rule is 12 numbers in \[0, 1\], got "):
        RuleNumbers.from_vector(vector)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"speed": 1.1}, "speed must lie in [0, 1], got 1.1"),
        ({"charge_share": 0.0}, "charge_share must lie in [0.01, 1], got 0.0"),
        ({"load": float("nan")}, "load must lie in [0, 2], got nan"),
        ({"load": True}, "load must lie in [0, 2], got True"),
        ({"trim": "0.5"}, "trim must lie in [0, 1], got '0.5'"),
    ],
)
def test_numbers_out_of_their_range_are_refused_in_one_line(wrong, told):
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        RuleNumbers(**wrong)


def test_unknown_numbers_are_refused_by_name():
    with pytest.raises(TypeError, match="'sped'"):
        RuleNumbers(sped=1.0)


def test_numbers_of_any_kind_are_kept_as_plain_floats():
    numbers = RuleNumbers(load=1, trim=np.float32(0.5))
    assert [type(numbers.load), type(numbers.trim)] == [float, float]


def test_thresholds_lie_between_the_lowest_and_the_highest_similarity():
    similarity = np.array([[1.0, 0.9, 0.2], [0.9, 1.0, 0.4], [0.2, 0.4, 1.0]])
    assert [threshold_between(similarity, place) for place in (0, 0.5, 1)] == pytest.approx([0.2, 0.55, 0.9])


def test_the_threshold_changes_after_a_share_of_the_episode():
    similarity = np.array([[1.0, 0.9, 0.2], [0.9, 1.0, 0.4], [0.2, 0.4, 1.0]])

    def labels(round_index: int, **numbers: float) -> list[int]:
        left = {"rounds_left": 30 - round_index} if "switch" in numbers else {}
        state = make_state(3, similarity=similarity, round=round_index, on_request=left)
        return in_two_stages(state, **{"early": 0.0, "late": 0.5, "switch": 0.0, **numbers}).tolist()

    coarse, fine = [0, 0, 0], [0, 0, 2]
    assert [labels(index, switch=0.4) for index in (0, 11, 12, 29)] == [coarse, coarse, fine, fine]
    assert [labels(index, switch=1.0) for index in (0, 29)] == [coarse, coarse]
    # Nobody has to know when an episode ends in which nothing changes.
    assert labels(0) == labels(29) == fine


def test_satellites_that_avoid_load_spread_over_equal_gateways():
    state = make_state(6, 3)
    assert balanced(state, nearness=0.0, load=0.0).tolist() == [0] * 6
    assert sorted(balanced(state, nearness=0.0, load=1.0).tolist()) == [0, 0, 1, 1, 2, 2]
    # The last satellite sees gateway 0 alone, chooses first, and the others avoid it.
    visible = np.array([[True, True, False], [True, True, False], [True, False, False], [False, False, False]])
    state = make_state(4, 3, visible=visible, window_s=np.where(visible, [400.0, 390.0, 0.0], 0.0))
    assert balanced(state, nearness=0.0, load=1.0).tolist() == [1, 0, 0, 3]
    assert balanced(state, nearness=0.0, load=0.01).tolist() == [0, 0, 0, 3]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.floats(0.01, 1), speed=st.floats(0, 1))
def test_running_just_in_time_costs_no_epoch(seed, share, speed):
    state = replace(drawn_state(seed), link_s=np.full((8, 3), 0.01))
    gateway = balanced(state, nearness=0.0, load=0.0)
    fast = thrifty(state, gateway, share=share, speed=speed, trim=0.0)
    slow = thrifty(state, gateway, share=share, speed=speed, trim=1.0)
    assert (slow <= fast).all()
    assert (predicted_epochs(state, gateway, slow) == predicted_epochs(state, gateway, fast)).all()
    assert (just_in_time(state, gateway, slow) >= slow * (1 - 1e-6)).all()


def test_just_in_time_by_hand():
    # 400 s less two transfers of 0.5 s each for two satellites that share a gateway; 40 s an epoch at 250 MHz.
    state = make_state(3, 2, window_s=np.full((3, 2), 400.0))
    frequency = just_in_time(state, np.array([0, 0, 2]), np.full(3, 2.6e8))
    assert frequency == pytest.approx([10 * 1e10 / 399.0] * 2 + [2.6e8])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.floats(0.01, 1))
def test_training_spends_at_most_its_share_of_the_energy(seed, share):
    state = drawn_state(seed)
    gateway = balanced(state, nearness=0.0, load=0.0)
    frequency = thrifty(state, gateway, share=share, speed=0.0, trim=0.0)
    epochs = predicted_epochs(state, gateway, frequency)
    spent_j = epochs * state.kappa * state.cycles_per_sample * state.samples * frequency**2
    assert (spent_j <= share * state.energy_j * (1 + 1e-6)).all()
    assert np.array_equal(thrifty(state, gateway, share=1.0, speed=0.0, trim=0.0), closed_form(state, gateway))
