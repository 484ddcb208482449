"""Environments in several processes: whom calls reach, which errors come back, and what happens if a process goes."""

from __future__ import annotations

import os
import signal

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from satfl_env import Outcome, ProcessVectorEnv, RoundReport, make_vector_env
from satfl_env.federated import WorkerError
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation

PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 3}


@pytest.fixture(scope="module")
def flat():
    envs = ProcessVectorEnv(
        5,
        workers=2,
        autoreset_mode="Disabled",
        wrap=lambda env: ScaledObservation(DiscreteAction(env)),
        render_mode="ansi",
        overrides=PHYSICS_ONLY,
    )
    yield envs
    envs.close()


def test_some_environments_start_anew_and_the_others_stay(flat: ProcessVectorEnv):
    before, infos = flat.reset(seed=[3, 1, 4, 1, 5])
    assert infos["seed"].tolist() == [3, 1, 4, 1, 5]
    mask = np.array([False, False, False, True, False])
    after, infos = flat.reset(seed=[9] * 5, options={"reset_mask": mask})
    np.testing.assert_array_equal(np.flatnonzero((after != before).any(axis=1)), [3])
    assert infos["_seed"].tolist() == mask.tolist()
    assert infos["seed"][3] == 9


def test_functions_and_methods_reach_the_environments_in_order(flat: ProcessVectorEnv):
    flat.reset(seed=[3, 1, 4, 2, 5])
    marks = [10, 11, 12, 13, 14]
    for index, mark in enumerate(marks):
        flat.apply(lambda env, mark=mark: env.set_wrapper_attr("mark", mark), [index])
    assert list(flat.call("mark")) == marks
    assert flat.apply(lambda env: env.get_wrapper_attr("mark"), [4, 0, 3]) == (14, 10, 13)
    assert [mask.shape for mask in flat.call("action_masks")] == [flat.call("action_masks")[0].shape] * 5
    assert all("leo-multitask" in text for text in flat.render())


def test_attributes_are_read_and_set_in_each(flat: ProcessVectorEnv):
    flat.set_attr("note", 7)
    assert flat.get_attr("note") == (7,) * 5
    flat.set_attr("note", [1, 2, 3, 4, 5])
    assert flat.get_attr("note") == flat.call("note") == (1, 2, 3, 4, 5)
    with pytest.raises(ValueError, match="values must be 5, one per environment, or one for all; got 2"):
        flat.set_attr("note", [1, 2])


def test_wrappers_step_limits_and_rewards_of_ones_own_reach_the_processes():
    class Halved(gym.Wrapper):
        def step(self, action: object) -> tuple:
            observation, reward, terminated, truncated, info = self.env.step(action)
            return observation, reward / 2, terminated, truncated, info

    def joules(report: RoundReport) -> float:
        return float("nan") if (report.outcome == Outcome.SAT_OUT).all() else -report.energy_j.sum()

    envs = gym.make_vec(
        "SatFL-v0",
        num_envs=2,
        vectorization_mode="vector_entry_point",
        workers=2,
        wrap=Halved,
        max_episode_steps=2,
        overrides=PHYSICS_ONLY,
        reward={joules: 2.0},
    )
    observation, _ = envs.reset(seed=0)
    actions = envs.action_space.sample()
    actions["association"] = np.where(observation["visible"].any(-1), observation["visible"].argmax(-1), 3)
    actions["cpu_frequency"][:] = 0.35
    _, rewards, _, _, infos = envs.step(actions)
    np.testing.assert_allclose(rewards, -infos["energy_j"].sum(axis=1))
    assert (rewards < 0).all()
    assert envs.step(actions)[3].all()
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="environment 0: reward term 'joules' must give a finite number, got nan"):
        envs.step({**actions, "association": np.full_like(actions["association"], 3)})
    envs.close()


def test_errors_are_those_of_one_process(flat: ProcessVectorEnv):
    flat.reset(seed=0)
    actions = flat.action_space.sample()
    with pytest.raises(ValueError, match="action must hold integers in"):
        flat.step(actions + 1000)
    with pytest.raises(ValueError, match="seed must be one number or 5"):
        flat.reset(seed=[1, 2])
    with pytest.raises(ValueError, match="reset_mask must be a bool array of shape"):
        flat.reset(options={"reset_mask": np.zeros(5, dtype=np.bool_)})
    with pytest.raises(ValueError, match="takes no options"):
        flat.reset(options={"colour": "red"})
    flat.reset(seed=0)
    for _ in range(3):
        flat.step(actions)
    with pytest.raises(ResetNeeded):
        flat.step(actions)
    with pytest.raises(ValueError, match=r"workers must lie in 1..num_envs = 2, got 3"):
        make_vector_env(2, workers=3)
    with pytest.raises(ValueError, match="no-such-scenario"):
        make_vector_env(2, workers=2, scenario="no-such-scenario")


def test_a_killed_process_is_an_error():
    envs = ProcessVectorEnv(2, workers=2, wrap=BoxAction, overrides=PHYSICS_ONLY)
    envs.reset(seed=0)
    victim = envs.apply(lambda env: os.getpid())[1]
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(WorkerError, match=rf"pid {victim}\) died with exit code -9"):
        envs.step(envs.action_space.sample())
    envs.close()
