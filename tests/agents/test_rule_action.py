from __future__ import annotations

import warnings
from dataclasses import asdict, replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_agents.forms.rule_action import RuleAction, RuleForm
from satfl_baselines import RuleNumbers, make_policy
from satfl_baselines.rule import names
from satfl_env import Decision, NetworkState, check_decision, decision_to_action
from satfl_env.wrappers import ScaledObservation
from tests.factories import make_state

PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 4}
FINE = RuleNumbers(early_threshold=0.8, late_threshold=0.8, epochs_power=0.0, credit_power=0.0)
CURRICULUM = replace(FINE, early_threshold=0.5, switch=0.4)


def make(**options: Any) -> gym.Env[Any, Any]:
    return gym.make("SatFL-v0", overrides=PHYSICS_ONLY, **options)


def unequal_state(satellites: int = 5, **changes: Any) -> NetworkState:
    rng = np.random.default_rng(1)
    similarity = rng.uniform(0.3, 1.0, (satellites, satellites))
    return make_state(
        satellites,
        samples=rng.integers(10, 90, satellites),
        last_loss=rng.uniform(0.5, 2.0, satellites),
        window_s=rng.uniform(100, 900, (satellites, 2)),
        similarity=(similarity + similarity.T) / 2,
        **changes,
    )


def assert_same(decision: Decision, other: Decision) -> None:
    for name, value in vars(decision).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


@pytest.mark.parametrize(("policy", "reference"), [("full", RuleNumbers()), ("fine", FINE), ("curriculum", CURRICULUM)])
def test_the_zero_action_is_the_reference_rule(policy, reference):
    form = RuleForm(reference, names())
    for round_index in (0, 11, 12):
        state = unequal_state(round=round_index, on_request={"rounds_left": 30 - round_index})
        assert_same(form(np.zeros(12, dtype=np.float32), state), make_policy(policy)(state))


def test_the_ends_of_the_box_are_the_ends_of_each_number():
    for name in names():
        form = RuleForm(FINE, (name,))
        for value, vector in ((-1.0, np.zeros(12)), (1.0, np.ones(12))):
            changed = form.rule(np.array([value]))
            assert asdict(changed)[name] == asdict(RuleNumbers.from_vector(vector))[name]
            assert replace(changed, **{name: asdict(FINE)[name]}) == FINE
    assert RuleForm(FINE, ("charge_share",)).rule(np.array([-0.5])).charge_share == pytest.approx(0.505)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=12, max_size=12))
def test_every_action_is_a_decision_that_fits(values):
    state = unequal_state()
    check_decision(RuleForm(RuleNumbers(), names())(np.array(values, dtype=np.float32), state), state)


def test_the_wrapper_acts_as_the_function_decides():
    env = RuleAction(make(), numbers=["late_threshold", "load"], reference={"samples_power": 0.5})
    assert env.action_space.shape == (2,)
    env.reset(seed=2)
    state, values = env.unwrapped.simulation.state, np.array([0.6, 0.3], dtype=np.float32)
    form = RuleForm(RuleNumbers(samples_power=0.5), ("late_threshold", "load"))
    action = env.action(values)
    for name, value in decision_to_action(form(values, state), state).items():
        np.testing.assert_array_equal(action[name], value)
    again = gym.make(env.spec)
    assert again.get_wrapper_attr("form") == form


def test_rules_pass_both_checks_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_for_sb3(ScaledObservation(RuleAction(make(render_mode="rgb_array"))))
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(ScaledObservation(RuleAction(make())), skip_render_check=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"numbers": ["late_treshold"]}, "numbers must be some of .*, got 'late_treshold', did you mean"),
        ({"numbers": ["load", "load"]}, "numbers must name each number once, got 'load' twice"),
        ({"numbers": []}, "numbers must be some of early_threshold, .*, got none"),
        ({"reference": {"sped": 0.5}}, "reference must be some of .*, got 'sped', did you mean 'speed'"),
        ({"reference": {"load": 2.5}}, r"^reference load must lie in \[0, 2\], got 2.5$"),
        ({"reference": {"load": "1"}}, r"^reference load must lie in \[0, 2\], got '1'$"),
    ],
)
def test_bad_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        RuleAction(make(), **arguments)


def test_it_needs_native_actions_inside_the_box():
    with pytest.raises(TypeError, match="native Dict action space"):
        RuleAction(RuleAction(make()))
    env = RuleAction(make())
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must hold numbers in \[-1, 1\], got 2.0 at index 0"):
        env.step(np.full(5, 2.0, dtype=np.float32))
