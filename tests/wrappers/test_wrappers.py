from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation

PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 8}


def make(scenario: str = "leo-multitask", **options: object) -> gym.Env:
    return gym.make("SatFL-v0", scenario=scenario, overrides=PHYSICS_ONLY, **options)


@pytest.mark.parametrize("wrapper", [BoxAction, DiscreteAction])
@pytest.mark.parametrize("scenario", ["leo-multitask", "task-clustering-mini"])
def test_wrapped_forms_pass_both_checks_without_warnings(wrapper, scenario):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env_for_sb3(ScaledObservation(wrapper(make(scenario, render_mode="rgb_array"))))
        # Gymnasium's check advises to pass the environment without wrappers, but these are what is to be checked.
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(ScaledObservation(wrapper(make(scenario))), skip_render_check=True)


def test_box_actions_translate_part_by_part():
    env = BoxAction(make(), num_clusters=4)
    env.reset(seed=0)
    assert env.action_space.shape == (10 * 4 + 10 * 4 + 10 + 10 + 3,)
    flat = np.concatenate(
        [
            np.zeros(40),
            np.tile([-1.0, -0.5, 0.9, 0.2], 10),
            np.linspace(-1, 1, 10),
            np.full(10, -1.0),
            [1.0, 0.0, -1.0],
        ]
    ).astype(np.float32)
    action = env.action(flat)
    assert action in env.unwrapped.action_space
    assert action["cluster"].tolist() == [2] * 10
    np.testing.assert_allclose(action["cpu_frequency"], np.linspace(0, 1, 10), atol=1e-7)
    assert action["weights"].tolist() == [0.0] * 10
    assert action["gateway_weights"].tolist() == [1.0, 0.5, 0.0]


def test_box_association_takes_the_best_visible_gateway():
    env = BoxAction(make())
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=1)
    for _ in range(6):
        flat = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        scores = flat[:40].reshape(10, 4)
        expected = []
        for satellite in range(10):
            allowed = [*np.flatnonzero(observation["visible"][satellite]), 3]
            expected.append(max(allowed, key=lambda choice, row=scores[satellite]: row[choice]))
        assert env.action(flat)["association"].tolist() == expected
        observation, *_ = env.step(flat)


def test_discrete_actions_translate_part_by_part():
    env = DiscreteAction(make(), frequency_levels=5, num_clusters=2, weight_levels=3)
    env.reset(seed=0)
    assert env.action_space.nvec.tolist() == [4] * 10 + [5] * 10 + [2] * 10 + [3] * 13
    action = env.action(np.concatenate([[3] * 10, np.arange(10) % 5, [1] * 10, np.arange(10) % 3, [0, 1, 2]]))
    assert action in env.unwrapped.action_space
    assert action["association"].tolist() == [3] * 10
    assert action["cpu_frequency"][:5].tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert action["cluster"].tolist() == [1] * 10
    assert action["weights"][:3].tolist() == [0.0, 0.5, 1.0]
    assert action["gateway_weights"].tolist() == [0.0, 0.5, 1.0]


def test_discrete_masks_forbid_invisible_gateways_only():
    env = ScaledObservation(DiscreteAction(make()))
    env.reset(seed=0)
    for _ in range(5):
        mask = env.get_wrapper_attr("action_masks")()
        assert mask.dtype == np.bool_
        assert mask.shape == (env.action_space.nvec.sum(),)
        np.testing.assert_array_equal(mask[:40].reshape(10, 4), env.unwrapped.action_masks()["association"])
        assert mask[40:].all()
        parts = np.split(mask, np.cumsum(env.action_space.nvec)[:-1])
        env.step(np.array([np.flatnonzero(part)[0] for part in parts]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.full(93, 2.0, dtype=np.float32), r"action must hold numbers in \[-1, 1\], got 2.0 at index 0"),
        (np.full(93, np.nan, dtype=np.float32), "got nan"),
        (np.zeros(92, dtype=np.float32), r"shape \(93,\), got shape \(92,\)"),
    ],
)
def test_bad_box_actions_are_rejected(value, message):
    env = BoxAction(make())
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(value)


def test_bad_arguments_are_rejected():
    with pytest.raises(ValueError, match=r"num_clusters must lie in 1..10"):
        BoxAction(make(), num_clusters=11)
    with pytest.raises(ValueError, match=r"num_clusters must lie in 1..10"):
        DiscreteAction(make(), num_clusters=0)
    with pytest.raises(ValueError, match="frequency_levels"):
        DiscreteAction(make(), frequency_levels=0)
    with pytest.raises(ValueError, match="weight_levels"):
        DiscreteAction(make(), weight_levels=1)
    with pytest.raises(TypeError, match="native Dict action space"):
        BoxAction(DiscreteAction(make()))
    with pytest.raises(TypeError, match="Dict observation space"):
        ScaledObservation(ScaledObservation(make()))


def test_observations_are_scaled_by_the_bounds_of_the_space():
    env = make()
    observation, _ = env.reset(seed=0)
    scaled = ScaledObservation(env)
    vector = scaled.observation(observation)
    assert vector in scaled.observation_space
    assert vector.dtype == np.float32
    start = 0
    for key, space in env.observation_space.items():
        values = np.ravel(observation[key]).astype(float)
        part = vector[start : start + values.size]
        start += values.size
        if isinstance(space, gym.spaces.Box):
            low, high = np.ravel(space.low), np.ravel(space.high)
        else:
            low, high = 0.0, {"visible": 1.0, "cluster": 9.0}[key]
        np.testing.assert_allclose(low + (part + 1) / 2 * (high - low), values, rtol=1e-5, atol=1e-6 * np.max(high))
    assert start == vector.size


def test_entries_with_equal_bounds_are_zero():
    class Constant(gym.Env):
        observation_space = gym.spaces.Dict({"x": gym.spaces.Box(2.0, np.array([2.0, 4.0], dtype=np.float32))})
        action_space = gym.spaces.Discrete(2)

    vector = ScaledObservation(Constant()).observation({"x": np.array([2.0, 3.0])})
    assert vector.tolist() == [0.0, 0.0]


def test_wrapped_environments_run_side_by_side():
    for action in (BoxAction, DiscreteAction):
        envs = gym.make_vec(
            "SatFL-v0",
            num_envs=2,
            vectorization_mode="sync",
            wrappers=[action, ScaledObservation],
            overrides=PHYSICS_ONLY,
        )
        observations, _ = envs.reset(seed=0)
        assert observations.shape == (2, *envs.single_observation_space.shape)
        observations, rewards, *_ = envs.step(envs.action_space.sample())
        assert observations.dtype == np.float32
        assert rewards.shape == (2,)
        envs.close()


def test_wrapped_environments_can_be_made_again_from_their_spec():
    env = ScaledObservation(BoxAction(make(), num_clusters=2))
    again = gym.make(env.spec)
    assert again.action_space == env.action_space
    assert again.observation_space == env.observation_space
