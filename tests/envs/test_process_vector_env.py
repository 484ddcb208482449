"""Environments in several processes: whom calls reach, which errors come back, and what happens if a process goes."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import threading
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded

from satfl_env import Outcome, ProcessVectorEnv, RoundReport, SatFLVectorEnv, make_vector_env
from satfl_env.envs import process_vector
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
    with pytest.raises(ValueError, match=r"workers must lie in 1..2, got 3"):
        make_vector_env(2, workers=3)
    with pytest.raises(ValueError, match="no-such-scenario"):
        make_vector_env(2, workers=2, scenario="no-such-scenario")


def test_a_killed_process_is_an_error_and_closes():
    envs = ProcessVectorEnv(2, workers=2, wrap=BoxAction, overrides=PHYSICS_ONLY)
    envs.reset(seed=0)
    victim = envs.apply(lambda env: os.getpid())[1]
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(WorkerError, match=rf"pid {victim}\) died with exit code -9"):
        envs.step(envs.action_space.sample())
    assert_closed(envs, "a request broke off: .*WorkerError.*died with exit code -9")


def assert_closed(envs: ProcessVectorEnv, why: str) -> None:
    message = rf"this vector environment is closed: {why}.*; make another one"
    for use in (
        lambda: envs.step(envs.action_space.sample()),
        lambda: envs.reset(seed=0),
        lambda: envs.get_attr("render_mode"),
        lambda: envs.set_attr("mark", 1),
        envs.render,
    ):
        with pytest.raises(ClosedEnvironmentError, match=message):
            use()
    envs.close()
    envs.close()


def test_an_interrupted_step_closes_instead_of_answering_late(tmp_path):
    class Slow(gym.Wrapper):
        def step(self, action: object) -> tuple:
            (tmp_path / "stepping").touch()
            time.sleep(60)
            return self.env.step(action)

    envs = ProcessVectorEnv(2, workers=2, wrap=lambda env: Slow(BoxAction(env)), overrides=PHYSICS_ONLY)
    envs.reset(seed=0)

    def interrupt() -> None:
        while not (tmp_path / "stepping").exists():  # before that the interrupt would meet the test itself
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        envs.step(envs.action_space.sample())
    assert_closed(envs, "a request broke off: KeyboardInterrupt")


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, pickle.dumps])
def test_processes_cannot_be_cloned(flat: ProcessVectorEnv, clone):
    with pytest.raises(TypeError, match="cannot be copied or pickled: its environments live in other processes"):
        clone(flat)


def test_an_answer_that_cannot_be_sent_is_an_error(flat: ProcessVectorEnv):
    before, _ = flat.reset(seed=0)
    with pytest.raises(TypeError, match=r"the answer cannot be sent to another process: .*lock"):
        flat.apply(lambda env: threading.Lock())
    with pytest.raises(TypeError, match=r"an argument of apply cannot be sent to another process: .*lock"):
        flat.set_attr("note", [1, 2, 3, 4, threading.Lock()])
    flat.set_attr("note", 0)
    np.testing.assert_array_equal(flat.reset(seed=0)[0], before)


def test_errors_name_their_environment(flat: ProcessVectorEnv):
    with pytest.raises(AttributeError, match="no attribute 'colour'") as caught:
        flat.get_attr("colour")
    assert caught.value.__notes__ == ["in environment 0"]
    assert "in satfl-envs-0, environments 0 to 1:" in str(caught.value.__cause__)
    assert "Traceback" in str(caught.value.__cause__)
    with pytest.raises(ZeroDivisionError) as divided:
        flat.apply(lambda env: 1 // 0, [3])
    assert divided.value.__notes__ == ["in environment 3"]
    for indices, kind in (([5], ValueError), ([-1], ValueError), ([0.5], TypeError)):
        with pytest.raises(kind, match="index must"):
            flat.apply(lambda env: env, indices)


def test_after_a_step_that_broke_off_in_one_process_all_ask_for_a_reset():
    class Armed(gym.Wrapper):
        armed = False

        def step(self, action: object) -> tuple:
            result = self.env.step(action)
            if self.get_wrapper_attr("armed"):
                raise KeyError("armed")
            return result

    def make(workers: int) -> ProcessVectorEnv | SatFLVectorEnv:
        return make_vector_env(2, workers=workers, wrap=lambda env: Armed(BoxAction(env)), overrides=PHYSICS_ONLY)

    envs, twin = make(2), make(1)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    envs.set_attr("armed", [False, True])
    with pytest.raises(KeyError, match="armed"):
        envs.step(envs.action_space.sample())
    envs.set_attr("armed", False)
    actions = envs.action_space.sample()
    with pytest.raises(ResetNeeded, match=r"the last step of environments \[0, 1\] broke off: reset them first"):
        envs.step(actions)
    envs.reset(seed=0, options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeeded, match=r"the last step of environments \[1\] broke off: reset them first"):
        envs.step(actions)
    for each in (envs, twin):
        each.reset(seed=0)
    np.testing.assert_array_equal(envs.step(actions)[1], twin.step(actions)[1])
    envs.close()


class Counted(gym.Wrapper):
    """Counts what reaches it."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.calls = 0

    def reset(self, **kwargs: object) -> tuple:
        self.calls += 1
        return self.env.reset(**kwargs)

    def step(self, action: object) -> tuple:
        self.calls += 1
        return self.env.step(action)


def test_without_a_number_of_workers_there_is_one_for_each_core(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process_vector, "available_cores", lambda: 2)
    envs = ProcessVectorEnv(3, overrides=PHYSICS_ONLY)
    assert envs._sizes == [1, 2]
    envs.close()
    monkeypatch.setattr(process_vector, "available_cores", lambda: 1)
    assert isinstance(make_vector_env(3, workers=None, overrides=PHYSICS_ONLY), SatFLVectorEnv)
    monkeypatch.setattr(process_vector, "available_cores", lambda: 64)
    assert isinstance(make_vector_env(1, workers=None, overrides=PHYSICS_ONLY), SatFLVectorEnv)


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_requests_reach_no_environment(workers: int):
    envs = make_vector_env(3, workers=workers, wrap=Counted, overrides=PHYSICS_ONLY)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    good = envs.action_space.sample()
    for key, last in (
        ("weights", np.nan),
        ("weights", -0.1),
        ("cpu_frequency", np.inf),
        ("association", 4),
        ("cluster", -1),
        ("gateway_weights", "much"),
        ("weights", 1j),
        ("cluster", 0.5),
        ("association", True),
    ):
        rows = good[key].astype(np.result_type(good[key], type(last)) if not isinstance(last, str) else object)
        rows[2, -1] = last
        if isinstance(last, bool):
            rows = rows.astype(np.bool_)
        with pytest.raises(ValueError, match=rf"action\['{key}'\] must hold (numbers|integers)"):
            envs.step({**good, key: rows})
    for seed, kind in (
        ([0, 1, -1], ValueError),
        ([0, 1, 2**63], ValueError),
        (2**63 - 2, ValueError),
        (-1, ValueError),
        ([0, 1, "two"], TypeError),
        ([0, 1, 2.0], TypeError),
        (True, TypeError),
        ([0, 1], ValueError),
    ):
        with pytest.raises(kind, match="seed"):
            envs.reset(seed=seed)
    for options in ({"colour": "red"}, {"reset_mask": [True, True, True]}, {"reset_mask": np.zeros(3, np.bool_)}):
        with pytest.raises(ValueError, match="reset_mask"):
            envs.reset(options=options)
    with pytest.raises(TypeError, match="options must be a dict or None"):
        envs.reset(options=["reset_mask"])
    assert envs.get_attr("calls") == (1, 1, 1)
    envs.step(good)
    assert envs.get_attr("calls") == (2, 2, 2)
    envs.close()
