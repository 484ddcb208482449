from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from satfl_agents.envs.vec_env import SatFLVecEnv
from satfl_env import SatFLEnv
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation

QUICK = {"training.max_epochs": 2, "rounds.episode": 3}
PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 4}


def flat(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return ScaledObservation(BoxAction(env))


def discrete(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return ScaledObservation(DiscreteAction(env))


@pytest.mark.parametrize("workers", [1, 2])
def test_it_does_what_dummy_vec_env_does(workers: int) -> None:
    own = SatFLVecEnv(2, flat, workers=workers, overrides=QUICK)
    dummy = DummyVecEnv([lambda: flat(SatFLEnv(overrides=QUICK))] * 2)
    for envs in (own, dummy):
        envs.seed(7)
    np.testing.assert_array_equal(own.reset(), dummy.reset())
    assert [info["seed"] for info in own.reset_infos] == [info["seed"] for info in dummy.reset_infos] == [7, 8]
    rng = np.random.default_rng(0)
    for _ in range(5):
        actions = rng.uniform(-1, 1, (2, *own.action_space.shape)).astype(np.float32)
        observations, rewards, ended, infos = own.step(actions)
        expected = dummy.step(actions)
        np.testing.assert_allclose(observations, expected[0], atol=1e-5)
        np.testing.assert_allclose(rewards, expected[1], atol=1e-5)
        np.testing.assert_array_equal(ended, expected[2])
        for info, other in zip(infos, expected[3], strict=True):
            assert info.keys() == other.keys()
            assert info["reward_terms"].keys() == other["reward_terms"].keys()
            assert info["TimeLimit.truncated"] is bool(other["TimeLimit.truncated"])
            np.testing.assert_array_equal(info["outcome"], other["outcome"])
            if "terminal_observation" in other:
                np.testing.assert_allclose(info["terminal_observation"], other["terminal_observation"], atol=1e-5)
    assert [info["seed"] for info in own.reset_infos] == [info["seed"] for info in dummy.reset_infos]
    own.close()


def test_continuous_and_masked_learners_take_it() -> None:
    envs = VecMonitor(SatFLVecEnv(2, flat, overrides=PHYSICS_ONLY))
    PPO("MlpPolicy", envs, n_steps=8, batch_size=8, n_epochs=1, seed=0, device="cpu").learn(32)
    masked = SatFLVecEnv(2, discrete, overrides=PHYSICS_ONLY)
    MaskablePPO("MlpPolicy", masked, n_steps=8, batch_size=8, n_epochs=1, seed=0, device="cpu").learn(16)


def test_attributes_and_methods_reach_the_environments() -> None:
    envs = SatFLVecEnv(3, discrete, overrides=PHYSICS_ONLY, render_mode="rgb_array")
    envs.reset()
    assert envs.get_attr("render_mode", 1) == ["rgb_array"]
    assert len(envs.env_method("action_masks", indices=[0, 2])) == 2
    assert envs.env_is_wrapped(DiscreteAction) == [True] * 3
    assert envs.env_is_wrapped(BoxAction, 0) == [False]
    envs.set_attr("note", 5, indices=1)
    assert envs.get_attr("note", 1) == [5]
    assert envs.has_attr("action_masks")
    assert len(envs.get_images()) == 3


def test_a_learner_gets_through_episodes_in_which_training_diverges() -> None:
    changes = {"training.max_epochs": 2, "training.optimizer": "sgd", "training.learning_rate": 50.0}
    envs = SatFLVecEnv(2, flat, overrides=changes, reward={"loss_drop": 1.0})
    learner = PPO("MlpPolicy", envs, n_steps=12, batch_size=8, n_epochs=2, seed=0, device="cpu").learn(48)
    assert learner.rollout_buffer.rewards.min() < -1e3
    assert all(parameter.isfinite().all() for parameter in learner.policy.parameters())
