from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from satfl_baselines import as_agent, make_policy
from satfl_env import SatFLEnv, observation_to_state

SMALL = {
    "training.engine": "none",
    "rounds.episode": 6,
    "data.test_samples": 4,
    "data.partition.max_samples": 10,
    "data.partition.span_s": 7200.0,
}


@pytest.mark.parametrize("scenario", ["walker-earth", "sentinel"])
def test_observations_stay_inside_bounds_that_hold_for_every_seed(scenario):
    env = gym.make("SatFL-v0", scenario=scenario, overrides=SMALL)
    agent = as_agent(make_policy("semspacefl"))
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        for _ in range(5):
            assert observation in env.observation_space
            state = env.unwrapped.simulation.state
            seen = observation_to_state(observation)
            for name in ("position_m", "velocity_mps", "distance_m", "window_s", "energy_j", "samples"):
                np.testing.assert_allclose(getattr(seen, name), getattr(state, name), rtol=1e-9, err_msg=name)
            observation, *_ = env.step(agent(observation))


def test_gymnasium_checks_pass_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make("SatFL-v0", scenario="walker-earth", overrides=SMALL, render_mode="rgb_array")
        check_env(env.unwrapped)


def test_reset_tells_what_each_satellite_has_seen():
    _, info = SatFLEnv("walker-earth", SMALL).reset(seed=0)
    assert info["label_pmf"].shape == (24, 3)


def test_satellites_gateways_and_night_are_on_the_map():
    env = SatFLEnv("walker-earth", SMALL, render_mode="rgb_array")
    env.reset(seed=0)
    start = env.render()
    assert start.shape == (790, 1120, 3)
    np.testing.assert_array_equal(env.render(), start)
    observation, _ = env.reset(seed=0)
    env.step(as_agent(make_policy("semspacefl"))(observation))
    assert (env.render() != start).any()
    yellow = (np.abs(start.astype(int) - (255, 210, 63)).sum(axis=-1) < 20).sum()
    assert yellow > 10 * 20  # ten gateways
