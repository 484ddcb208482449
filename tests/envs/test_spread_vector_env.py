"""Environments in several processes: whom calls reach, which errors come back, and what happens if a process goes."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from satfl_env import SpreadVectorEnv, make_vector_env
from satfl_env.federated import WorkerError
from satfl_env.wrappers import BoxAction, DiscreteAction, ScaledObservation

PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 3}


@pytest.fixture(scope="module")
def flat():
    envs = SpreadVectorEnv(
        5,
        workers=2,
        autoreset_mode="Disabled",
        wrap=lambda env: ScaledObservation(DiscreteAction(env)),
        render_mode="ansi",
        overrides=PHYSICS_ONLY,
    )
    yield envs
    envs.close()


def test_some_environments_start_anew_and_the_others_stay(flat: SpreadVectorEnv):
    before, infos = flat.reset(seed=[3, 1, 4, 1, 5])
    assert infos["seed"].tolist() == [3, 1, 4, 1, 5]
    mask = np.array([False, False, False, True, False])
    after, infos = flat.reset(seed=[9] * 5, options={"reset_mask": mask})
    np.testing.assert_array_equal(np.flatnonzero((after != before).any(axis=1)), [3])
    assert infos["_seed"].tolist() == mask.tolist()
    assert infos["seed"][3] == 9


def test_functions_and_methods_reach_the_environments_in_order(flat: SpreadVectorEnv):
    flat.reset(seed=[3, 1, 4, 2, 5])
    marks = [10, 11, 12, 13, 14]
    for index, mark in enumerate(marks):
        flat.apply(lambda env, mark=mark: env.set_wrapper_attr("mark", mark), [index])
    assert list(flat.call("mark")) == marks
    assert flat.apply(lambda env: env.get_wrapper_attr("mark"), [4, 0, 3]) == (14, 10, 13)
    assert [mask.shape for mask in flat.call("action_masks")] == [flat.call("action_masks")[0].shape] * 5
    assert all("leo-multitask" in text for text in flat.render())


def test_errors_are_those_of_one_process(flat: SpreadVectorEnv):
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
    envs = SpreadVectorEnv(2, workers=2, wrap=BoxAction, overrides=PHYSICS_ONLY)
    envs.reset(seed=0)
    victim = envs.apply(lambda env: os.getpid())[1]
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(WorkerError, match=rf"pid {victim}\) died with exit code -9"):
        envs.step(envs.action_space.sample())
    envs.close()
