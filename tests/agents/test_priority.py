from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("stable_baselines3")
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import satfl_env
from satfl_agents.forms.priority import PriorityAction, PriorityForm
from satfl_agents.forms.rule_action import RuleForm
from satfl_baselines import RuleNumbers, make_policy, rule_policy
from satfl_baselines.association import in_order_of
from satfl_baselines.rule import RULES
from satfl_env import Decision, NetworkState, check_decision, decision_to_action
from satfl_env.wrappers import ScaledObservation
from tests.factories import make_state

SCARCE = {"training.engine": "none", "rounds.episode": 4, "access": {"beams": 2}}
NUMBERS = ("late_threshold", "samples_power")


def scarce_state(satellites: int = 5, **changes: Any) -> NetworkState:
    rng = np.random.default_rng(1)
    return make_state(
        satellites,
        samples=rng.integers(10, 90, satellites),
        window_s=rng.uniform(100, 900, (satellites, 2)),
        on_request={"beams": np.array([1, 2])},
        **changes,
    )


def assert_same(decision: Decision, other: Decision) -> None:
    for name, value in vars(decision).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


def test_without_scarcity_the_zero_action_is_the_reference_rule():
    state = replace(scarce_state(), on_request={"beams": np.array([5, 5])})
    form = PriorityForm(RuleForm(RuleNumbers(), NUMBERS), charge="shares")
    assert_same(form(np.zeros(17, dtype=np.float32), state), make_policy("full")(state))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=17, max_size=17), st.sampled_from(["rule", "shares"]))
def test_every_action_is_a_decision_that_fits_and_gives_beams_in_order(values, charge):
    state, numbers = scarce_state(), np.array(values, dtype=np.float32)
    decision = PriorityForm(RuleForm(RuleNumbers(), NUMBERS), charge)(numbers, state)
    check_decision(decision, state)
    np.testing.assert_array_equal(decision.association, in_order_of(numbers[:10].reshape(5, 2), state))


def test_each_satellite_has_its_own_share_of_the_charge():
    state, rule = scarce_state(), RuleNumbers(charge_share=0.4, samples_power=0.3)
    shares = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    form = PriorityForm(RuleForm(rule, NUMBERS), charge="shares")
    decision = form(np.concatenate([np.zeros(10), shares, [0.0, 0.0]]), state)
    for satellite, share in enumerate([0.01, 0.205, 0.4, 0.7, 1.0]):
        same = replace(rule_policy(replace(rule, charge_share=share)), association=lambda _: decision.association)
        assert decision.cpu_frequency[satellite] == pytest.approx(same(state).cpu_frequency[satellite], rel=1e-12)
    deaf = replace(form, charge="rule")(np.concatenate([np.zeros(10), shares, [0.0, 0.0]]), state)
    assert_same(deaf, form(np.zeros(17), state))


def test_a_planned_charge_is_spent_as_the_policy_ration_does():
    window_s = np.array([[500.0, 100.0], [80.0, 700.0], [0.0, 200.0]])
    later = {"contact_start_s": np.full((3, 2, 1), 900.0), "contact_end_s": np.full((3, 2, 1), 1500.0)}
    state = make_state(
        3,
        2,
        window_s=window_s,
        visible=window_s > 0,
        samples=np.array([30, 60, 9000]),
        energy_j=np.full(3, 40.0),
        on_request={**later, "rounds_left": 10, "beams": np.array([3, 3])},
    )
    decision = make_policy("ration")(state)
    assert decision.association.tolist() == [0, 1, 2]
    form = PriorityForm(RuleForm(RULES["curriculum"], NUMBERS), charge="planned")
    assert_same(form(np.zeros(11), state), decision)


def test_an_imitated_policy_gives_the_same_beams():
    state = scarce_state(last_loss=np.array([3.0, 1.0, 0.2, 2.0, 1.0]))
    state = replace(state, on_request={**state.on_request, "rounds_left": 30})
    form = PriorityForm(RuleForm(RULES["curriculum"], NUMBERS), charge="shares")
    decision = make_policy("neediest")(state)
    assert (decision.association == state.sits_out).sum() == 2
    assert_same(form(form.reverse(decision, state), state), decision)


def test_the_wrapper_acts_as_the_function_decides():
    env = PriorityAction(gym.make("SatFL-v0", overrides=SCARCE), numbers=["load"], reference={"samples_power": 0.5})
    satellites, gateways = 10, 3
    assert env.action_space.shape == (satellites * (gateways + 1) + 1,)
    env.reset(seed=2)
    state, values = env.unwrapped.simulation.state, env.action_space.sample()
    assert state.beams.tolist() == [2, 2, 2]
    form = PriorityForm(RuleForm(RuleNumbers(samples_power=0.5), ("load",)), charge="rule")
    action = env.action(values)
    for name, value in decision_to_action(form(values, state), state).items():
        np.testing.assert_array_equal(action[name], value)
    assert gym.make(env.spec).get_wrapper_attr("form") == form
    *_, info = env.step(values)
    assert not (np.asarray(info["outcome"]) == satfl_env.Outcome.NOT_SERVED.value).any()


def test_priorities_pass_both_checks_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_for_sb3(ScaledObservation(PriorityAction(gym.make("SatFL-v0", overrides=SCARCE))))
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(ScaledObservation(PriorityAction(gym.make("SatFL-v0", overrides=SCARCE))), skip_render_check=True)


def test_bad_numbers_are_rejected_as_those_of_a_rule():
    with pytest.raises(ValueError, match=r"numbers must be some of .*, got 'late_treshold', did you mean"):
        PriorityAction(gym.make("SatFL-v0", overrides=SCARCE), numbers=["late_treshold"])
    with pytest.raises(ValueError, match="charge must be one of rule, shares, planned, got 'all'"):
        PriorityAction(gym.make("SatFL-v0", overrides=SCARCE), charge="all")
