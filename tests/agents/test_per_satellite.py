from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_agents.forms.per_satellite import PerSatelliteAction, PerSatelliteBoxAction
from satfl_agents.forms.satellite_choices import PerSatelliteChoices, PerSatelliteNumbers
from satfl_baselines import make_policy
from satfl_env import NetworkState, check_decision, decision_to_action
from satfl_env.wrappers import ScaledObservation
from tests.factories import make_state

PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 4}
# Two tasks of two satellites each, the second pair less alike, and one satellite like nobody.
SIMILARITY = np.array(
    [
        [1.0, 1.0, 0.6, 0.6, 0.4],
        [1.0, 1.0, 0.6, 0.6, 0.4],
        [0.6, 0.6, 1.0, 0.8, 0.4],
        [0.6, 0.6, 0.8, 1.0, 0.4],
        [0.4, 0.4, 0.4, 0.4, 1.0],
    ]
)


def make(**options: Any) -> gym.Env[Any, Any]:
    return gym.make("SatFL-v0", overrides=PHYSICS_ONLY, **options)


def five(**changes: Any) -> NetworkState:
    window_s = np.array([[300.0, 500.0], [500.0, 300.0], [400.0, 0.0], [0.0, 400.0], [0.0, 0.0]])
    return make_state(
        5,
        **{
            "window_s": window_s,
            "visible": window_s > 0,
            "similarity": SIMILARITY,
            "samples": np.array([10, 20, 30, 40, 50]),
            **changes,
        },
    )


def test_zeros_are_the_longest_window_the_closed_form_the_midpoint_and_weights_by_samples():
    state, full = five(), make_policy("proposed-fedavg")(five())
    decision = PerSatelliteNumbers()(np.zeros(5 * 6), state)
    np.testing.assert_array_equal(decision.association, full.association)
    np.testing.assert_array_equal(decision.cpu_frequency, full.cpu_frequency)
    np.testing.assert_array_equal(decision.cluster, make_policy("full")(state).cluster)
    np.testing.assert_allclose(decision.weights / decision.weights.max(), full.weights)
    np.testing.assert_allclose(decision.gateway_weights / decision.gateway_weights.max(), full.gateway_weights)


def test_satellites_share_a_model_if_they_choose_the_same_threshold_and_are_that_similar():
    state, form = five(), PerSatelliteChoices(thresholds=(0.0, 0.5, 0.95))

    def clusters(*level: int) -> list[int]:
        return form(np.concatenate([np.zeros(5, int), np.ones(5, int), level, np.full(5, 2)]), state).cluster.tolist()

    # Thresholds are 0.4, 0.7 and 0.97.
    assert clusters(0, 0, 0, 0, 0) == [0, 0, 0, 0, 0]
    assert clusters(1, 1, 1, 1, 1) == [0, 0, 2, 2, 4]
    assert clusters(2, 2, 2, 2, 2) == [0, 0, 2, 3, 4]
    assert clusters(1, 2, 0, 1, 0) == [0, 1, 2, 3, 2]


def test_choices_are_translated_part_by_part():
    state = five()
    slow = make_policy("full")(state).cpu_frequency
    numbers = np.array([[1, 0, 0, 0, 2], [0, 1, 2, 3, 1], [0] * 5, [0, 1, 2, 3, 2]])
    decision = PerSatelliteChoices()(numbers.ravel(), state)
    # Satellite 3 does not see gateway 0.
    assert decision.association.tolist() == [1, 0, 0, 2, 2]
    np.testing.assert_allclose(decision.cpu_frequency[:3], [slow[0] / 2, slow[1], (slow[2] + 1e9) / 2])
    assert decision.weights.tolist() == [0, 10, 30, 0, 0]
    assert decision.gateway_weights.tolist() == [40, 0]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**16))
def test_every_action_is_a_decision_that_fits(seed):
    rng, state = np.random.default_rng(seed), five()
    check_decision(PerSatelliteNumbers()(rng.uniform(-1, 1, 5 * 6).astype(np.float32), state), state)
    choices = np.repeat([3, 4, 3, 4], 5)
    check_decision(PerSatelliteChoices()(rng.integers(choices), state), state)


@pytest.mark.parametrize("form", [PerSatelliteChoices(), PerSatelliteNumbers()])
def test_what_is_reversed_decides_the_same(form):
    state, policy = five(), make_policy("full")
    decision = form(form.reverse(policy(state), state), state)
    assert decision.association.tolist() == policy(state).association.tolist()
    assert decision.cluster.tolist() == policy(state).cluster.tolist()
    np.testing.assert_allclose(decision.cpu_frequency, policy(state).cpu_frequency)
    for _ in range(2):
        again = form(form.reverse(decision, state), state)
        for name in ("association", "cluster"):
            np.testing.assert_array_equal(getattr(again, name), getattr(decision, name))
        np.testing.assert_allclose(again.cpu_frequency, decision.cpu_frequency)
        decision = again


@pytest.mark.parametrize("wrapper", [PerSatelliteAction, PerSatelliteBoxAction])
def test_they_pass_both_checks_without_warnings(wrapper):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_for_sb3(ScaledObservation(wrapper(make(render_mode="rgb_array"))))
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(ScaledObservation(wrapper(make())), skip_render_check=True)


@pytest.mark.parametrize("wrapper", [PerSatelliteAction, PerSatelliteBoxAction])
def test_the_wrapper_acts_as_the_function_decides_and_can_be_made_again(wrapper):
    env = wrapper(make(), thresholds=[0.0, 0.9])
    env.reset(seed=1)
    env.action_space.seed(1)
    numbers, state = env.action_space.sample(), env.unwrapped.simulation.state
    action = env.action(numbers)
    for name, value in decision_to_action(env.form(numbers, state), state).items():
        np.testing.assert_array_equal(action[name], value)
    assert gym.make(env.spec).get_wrapper_attr("form") == env.form
    assert env.reverse_action(action) in env.action_space


def test_masks_forbid_gateways_that_are_not_seen():
    env = PerSatelliteAction(make())
    env.reset(seed=0)
    parts = np.split(env.action_masks(), np.cumsum(env.action_space.nvec)[:-1])
    np.testing.assert_array_equal(np.stack(parts[:10]), env.unwrapped.action_masks()["association"])
    assert all(part.all() for part in parts[10:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"paces": [-2.0]}, r"paces must be numbers in \[-1, 1\], got -2.0"),
        ({"thresholds": []}, r"thresholds must be numbers in \[0, 1\], got none"),
        ({"weights": [1.0, float("inf")]}, r"weights must be numbers in \[0, 100\], got inf"),
    ],
)
def test_bad_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        PerSatelliteAction(make(), **arguments)
