from __future__ import annotations

import importlib
from importlib import resources
from typing import Any

import gymnasium as gym
import pytest
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

# What RL Baselines3 Zoo takes out of a configuration before it hands the rest to the algorithm.
ZOO_KEYS = ("n_timesteps", "n_envs", "env_wrapper", "normalize")


@pytest.fixture
def config() -> dict[str, Any]:
    text = (resources.files("satfl_agents") / "hyperparams" / "ppo.yml").read_text()
    configs: dict[str, dict[str, Any]] = yaml.safe_load(text)
    assert list(configs) == ["SatFL-v0"]
    return configs["SatFL-v0"]


def wrap(env: gym.Env[Any, Any], wrappers: list[str | dict[str, dict[str, Any]]]) -> gym.Env[Any, Any]:
    for entry in wrappers:
        name, kwargs = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        module, _, wrapper = name.rpartition(".")
        env = getattr(importlib.import_module(module), wrapper)(env, **kwargs)
    return env


def test_a_learner_is_made_from_the_shipped_configuration_for_rl_zoo(config: dict[str, Any]) -> None:
    timesteps, num_envs, wrappers, normalize = (config.pop(key) for key in ZOO_KEYS)
    envs = DummyVecEnv([lambda: wrap(gym.make("satfl_env:SatFL-v0"), wrappers)])
    learner = PPO(env=VecNormalize(envs, **normalize), device="cpu", **config)
    assert len(learner.observation_space.shape or ()) == len(learner.action_space.shape or ()) == 1
    assert num_envs * learner.n_steps % learner.batch_size == 0
    assert timesteps >= num_envs * learner.n_steps
