"""What a user's session has set changes no trajectory, and is left as it was."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import satfl_env
from satfl_env import SatFLEnv, scenarios
from tests.factories import decide

SCENARIOS = {
    "leo-multitask": {"rounds.episode": 2, "training.max_epochs": 2},
    "task-clustering-mini": {"rounds.episode": 2, "training.max_epochs": 2, "training.engine": "loop"},
    "semspacefl-mini": {
        "rounds.episode": 1,
        "training.max_epochs": 1,
        "training.round_share": 0.05,
        "data.test_samples": 6,
    },
}


@contextlib.contextmanager
def changed(set_it: Callable[[Any], Any], value: Any, before: Any) -> Iterator[None]:
    set_it(value)
    try:
        yield
    finally:
        set_it(before)


@contextlib.contextmanager
def time_zone(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.__setitem__("TZ", before)
        time.tzset()


@contextlib.contextmanager
def precision(operation: Any, value: str) -> Iterator[None]:
    before, operation.fp32_precision = operation.fp32_precision, value
    try:
        yield
    finally:
        operation.fp32_precision = before


@contextlib.contextmanager
def warnings_as_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


SETTINGS: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "float64": lambda: changed(torch.set_default_dtype, torch.float64, torch.float32),
    "float16": lambda: changed(torch.set_default_dtype, torch.float16, torch.float32),
    "bfloat16": lambda: changed(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "default device": lambda: changed(torch.set_default_device, "meta", None),
    "device block": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "deterministic": lambda: changed(torch.use_deterministic_algorithms, True, False),
    "threads": lambda: changed(torch.set_num_threads, 2, torch.get_num_threads()),
    "seed": lambda: changed(torch.manual_seed, 123, 0),
    "products": lambda: changed(torch.set_float32_matmul_precision, "medium", "highest"),
    "products on a GPU": lambda: precision(torch.backends.cuda.matmul, "tf32"),
    "convolutions": lambda: precision(torch.backends.mkldnn.conv, "bf16"),
    "errors of NumPy": lambda: np.errstate(all="raise"),
    "warnings": warnings_as_errors,
    "time zone": lambda: time_zone("Asia/Kathmandu"),
}


BACKENDS = torch.backends
OPERATIONS = (BACKENDS.cuda.matmul, BACKENDS.cudnn.conv, BACKENDS.mkldnn.matmul, BACKENDS.mkldnn.conv)


def settings() -> dict[str, Any]:
    """What can be asked for of the settings."""
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "inference": torch.is_inference_mode_enabled(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "precision": [operation.fp32_precision for operation in OPERATIONS],
        "random": torch.get_rng_state().tolist(),
        "numpy": np.geterr(),
        "filters": list(warnings.filters),
    }


def numbers(value: Any) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in numbers(inner)]
    return [np.asarray(value)]


def play(scenario: str) -> list[np.ndarray]:
    """All numbers of a short episode, with a change of state in it."""
    env = SatFLEnv(scenario, SCENARIOS[scenario], {"loss_drop": 1.0}, render_mode="ansi")
    observation, info = env.reset(seed=3)
    played = numbers(observation) + numbers(info)
    for _ in range(SCENARIOS[scenario]["rounds.episode"]):
        env.simulation.set_state(env.simulation.get_state())
        action = satfl_env.decision_to_action(decide(env.simulation.state), env.simulation.state)
        observation, reward, *_, info = env.step(action)
        played += numbers(observation) + numbers(info) + [np.array(reward)]
        env.render()
    return played


@pytest.fixture(scope="module")
def usual() -> dict[str, list[np.ndarray]]:
    return {scenario: play(scenario) for scenario in SCENARIOS}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_settings_of_the_user_change_no_bit_and_stay_as_they_were(scenario, name, usual):
    with SETTINGS[name]():
        before = settings()
        got = play(scenario)
        assert settings() == before
    assert len(got) == len(usual[scenario])
    for one, other in zip(got, usual[scenario], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["float64", "default device", "inference mode", "autocast"])
def test_vector_environments_do_not_care_either(name):
    def last() -> Any:
        options = {"vectorization_mode": "vector_entry_point", "overrides": SCENARIOS["task-clustering-mini"]}
        envs = gym.make_vec("SatFL-v0", num_envs=2, scenario="task-clustering-mini", **options)
        envs.reset(seed=0)
        envs.action_space.seed(0)
        return numbers(envs.step(envs.action_space.sample())[4])

    expected = last()
    with SETTINGS[name]():
        got = last()
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_settings_are_put_back_after_an_error():
    simulation = scenarios.build("task-clustering-mini")
    with SETTINGS["float64"](), SETTINGS["default device"](), SETTINGS["errors of NumPy"]():
        before = settings()
        state = simulation.reset(0)
        with pytest.raises(ValueError, match="association"):
            simulation.step(decide(state, association=np.array([9, 0, 0])))
        assert settings() == before
