"""What an environment has been through leaves no trace in its next episode, and what broke off asks for a reset."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded

from satfl_env import SatFLEnv, SatFLVectorEnv
from satfl_env.arguments import HIGHEST_SEED

QUICK = {"training.max_epochs": 1, "rounds.episode": 3, "data.test_samples": 4}
SMALL = {"training.max_epochs": 1, "rounds.episode": 2, "data.test_samples": 4}


def steps(env: Any, seed: int | None, count: int = 2) -> Iterator[Any]:
    """An episode, begun here or, without a seed, gone on with; its actions follow from the seed and the round."""
    if seed is not None:
        yield env.reset(seed=seed)
    for number in range(count):
        env.action_space.seed(100 + number)
        action = env.action_space.sample()
        masks = env.unwrapped.call("action_masks") if hasattr(env.unwrapped, "call") else [env.unwrapped.action_masks()]
        association = np.stack([mask["association"].argmax(axis=1) for mask in masks])
        action["association"] = association.reshape(action["association"].shape)
        action["cpu_frequency"] = np.full(action["cpu_frequency"].shape, 0.35)
        yield env.step(action)


def assert_equal(one: Any, other: Any) -> None:
    """To the bit, whatever is nested in what."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        for first, second in zip(one, other, strict=True):
            assert_equal(first, second)
    else:
        np.testing.assert_array_equal(one, other)


@contextmanager
def interrupted(owner: Any, name: str) -> Iterator[None]:
    """A method does its work, and then the user presses Ctrl-C."""
    method = getattr(owner, name)

    def once(*args: Any, **kwargs: Any) -> Any:
        method(*args, **kwargs)
        raise KeyboardInterrupt

    setattr(owner, name, once)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        delattr(owner, name)


def make_vector(**kwargs: Any) -> SatFLVectorEnv:
    return SatFLVectorEnv(2, autoreset_mode="Disabled", **{"overrides": QUICK, **kwargs})


@pytest.mark.parametrize("where", ["train", "learn", "evaluate_each", "finish", "reset"])
@pytest.mark.parametrize("make", [lambda: SatFLEnv(overrides=QUICK), make_vector])
def test_an_interrupt_anywhere_asks_for_a_reset_and_leaves_no_trace(make: Callable[[], Any], where: str):
    env, twin = make(), make()
    simulation = getattr(env, "envs", [env])[0].unwrapped.simulation
    list(steps(env, 3, count=1))
    with interrupted(simulation.trainer if where == "train" else simulation, where):
        list(steps(env, 4 if where == "reset" else None, count=1))
    with pytest.raises(ResetNeeded, match="reset"):
        list(steps(env, None, count=1))
    assert_equal(list(steps(env, 5)), list(steps(twin, 5)))


def test_an_episode_goes_on_after_what_was_refused():
    env, twin = SatFLEnv(overrides=QUICK), SatFLEnv(overrides=QUICK)
    first = list(steps(env, 5, count=1))
    assert_equal(first, list(steps(twin, 5, count=1)))
    for seed, kind in (
        (-1, ValueError),
        (HIGHEST_SEED + 1, ValueError),
        (10**40, ValueError),
        (np.int64(-3), ValueError),
        (1.0, TypeError),
        (np.float64(2), TypeError),
        (True, TypeError),
        ("5", TypeError),
        ([5], TypeError),
        (np.random.default_rng(0), TypeError),
    ):
        with pytest.raises(kind, match="seed must"):
            env.reset(seed=seed)
    with pytest.raises(ValueError, match=r"takes no options, got \{'colour': 'red'\}"):
        env.reset(seed=6, options={"colour": "red"})
    assert_equal(list(steps(env, None, count=1)), list(steps(twin, None, count=1)))
    assert_equal(env.reset(), twin.reset())


@pytest.mark.parametrize("seed", [0, np.int8(7), np.uint64(2**40), HIGHEST_SEED])
def test_seeds_are_integers_of_any_type(seed: Any):
    env = SatFLEnv(overrides={**QUICK, "training.engine": "none"})
    observation, info = env.reset(seed=seed)
    assert info["seed"] == int(seed)
    assert_equal(observation, SatFLEnv(overrides={**QUICK, "training.engine": "none"}).reset(seed=int(seed))[0])


def test_rendering_copying_and_others_beside_it_change_nothing():
    env, twin, other = (SatFLEnv(overrides=QUICK, render_mode="ansi") for _ in range(3))
    expected = list(steps(twin, 5, count=3))
    found = []
    for step, _ in zip(steps(env, 5, count=3), steps(other, 6, count=3), strict=True):
        found.append(step)
        env.render()
        copied = copy.deepcopy(env)
        if len(found) < 4:
            list(steps(copied, None, count=1))
        copied.close()
    assert_equal(found, expected)


def test_threads_play_what_one_plays():
    def play(env: SatFLEnv, into: list[Any]) -> None:
        into += steps(env, 5, count=3)

    expected = list(steps(SatFLEnv(overrides=QUICK), 5, count=3))
    results: list[list[Any]] = [[], []]
    threads = [threading.Thread(target=play, args=(SatFLEnv(overrides=QUICK), into)) for into in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert_equal(result, expected)


@pytest.mark.parametrize(
    "scenario", ["leo-multitask", "semspacefl-mini", "task-clustering-mini", "walker-earth", "sentinel"]
)
def test_a_vector_environment_plays_the_same_episode_whatever_it_played_before(scenario: str):
    used, fresh = (make_vector(scenario=scenario, overrides=SMALL) for _ in range(2))
    list(steps(used, 1, count=1))
    bad = used.action_space.sample()
    bad["weights"][1, 0] = np.nan
    with pytest.raises(ValueError, match="environment 1"):
        used.step(bad)
    with interrupted(used.envs[1].unwrapped.simulation, "finish"):
        list(steps(used, None, count=1))
    assert_equal(list(steps(used, 5)), list(steps(fresh, 5)))


def test_a_closed_vector_environment_says_so():
    envs = make_vector(overrides={**QUICK, "training.engine": "none"})
    envs.reset(seed=0)
    envs.close()
    envs.close()
    for use in (envs.reset, envs.render, lambda: envs.step(envs.action_space.sample())):
        with pytest.raises(ClosedEnvironmentError, match=r"is closed: close\(\) has been called; make another one"):
            use()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"num_envs": 2.0}, TypeError, "num_envs must be an integer, got 2.0"),
        ({"num_envs": True}, TypeError, "num_envs must be an integer, got True"),
        ({"workers": "2"}, TypeError, "workers must be an integer, got '2'"),
        ({"workers": 0}, ValueError, r"workers must lie in 1\.\.2, got 0"),
        ({"max_episode_steps": 2.5}, TypeError, "max_episode_steps must be an integer, got 2.5"),
        ({"autoreset_mode": "Never"}, ValueError, "autoreset_mode must be one of 'NextStep', .*, got 'Never'"),
        ({"wrap": "box"}, TypeError, "wrap must be a function of an environment or None, got 'box'"),
        ({"torch_threads": "1"}, TypeError, "torch_threads must be an integer, got '1'"),
        ({"scenario": 5}, TypeError, "must be a scenario's name or a YAML file's path, got 5"),
        ({"overrides": ["rounds.episode"]}, TypeError, "overrides must be a mapping"),
        ({"parts": ["links"]}, TypeError, "parts must"),
        ({"reward": "energy_j"}, TypeError, "reward must be"),
        ({"reward": {"energy_j": True}}, ValueError, "the weight of reward term 'energy_j'"),
        ({"reward": {"energy_j": 10**400}}, ValueError, "the weight of reward term 'energy_j' must be finite"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused_by_name(arguments: dict, kind: type[Exception], message: str):
    with pytest.raises(kind, match=message):
        gym.make_vec("SatFL-v0", **{"num_envs": 2, "vectorization_mode": "vector_entry_point", **arguments})
