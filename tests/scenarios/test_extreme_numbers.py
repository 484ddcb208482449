"""Numbers far outside any quantity: refused by the field's name, or rounds with finite numbers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from satfl_env import scenarios
from satfl_env.federated import TrainingSettings
from satfl_env.federated.schedule import Work
from satfl_env.scenarios import Scenario, ScenarioError, load
from satfl_env.settings import LARGEST, SMALLEST

EXTREMES = (1e300, LARGEST, SMALLEST, 1e-300, 5e-324, 0.0, -0.0)
BATTERY = {"kind": "battery", "capacity_j": 2000.0, "initial_j": 1500.0, "harvest_w": 1.0, "standing_w": 1.5}
CHANGES: tuple[dict[str, Any], ...] = (
    {"links.model_bits": 1e9},
    {"links.model_bits": 1e9, "onboard.energy": BATTERY},
    {"onboard.energy": BATTERY, "rounds.late": {}, "links": {"kind": "ideal", "transmit_power_w": 2.0}},
)


def numbers(section: object, path: str = "") -> Iterator[str]:
    """Dotted names of all fields that hold a floating-point number."""
    if isinstance(section, dict):
        for name, value in section.items():
            yield from numbers(value, f"{path}.{name}" if path else name)
    elif isinstance(section, float):
        yield path


def play(scenario: Scenario, steps: int) -> None:
    """Play random actions; nothing may leave the space, be NaN or infinite, or warn."""
    env = gym.make("SatFL-v0", scenario=scenario)
    env.action_space.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        observation, _ = env.reset(seed=0)
        for _ in range(steps):
            assert env.observation_space.contains(observation)
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            assert np.isfinite(reward)
            assert all(np.isfinite(it).all() for it in info.values() if isinstance(it, float | np.ndarray))
            if terminated or truncated:
                return


def sweep(name: str, steps: int, sections: tuple[str, ...], **changes: Any) -> int:
    """Try all extremes in all numbers of these sections; gives how many were refused."""
    changes = {"training.engine": "none", "data.test_samples": 2, "rounds.episode": steps, **changes}
    fields = [
        field for field in numbers(load(name, **changes).model_dump(mode="json")) if field.split(".")[0] in sections
    ]
    refusals = []
    for field in fields:
        for value in EXTREMES:
            try:
                scenario = load(name, **{**changes, field: value})
            except ScenarioError as error:
                refusals.append((field.split(".")[-1], str(error)))
            else:
                play(scenario, steps)
    assert all(field in message for field, message in refusals)
    return len(refusals)


@pytest.mark.parametrize("changes", CHANGES)
def test_numbers_of_links_and_satellites_are_refused_by_name_or_give_finite_rounds(changes):
    assert sweep("leo-multitask", 2, ("links", "onboard"), **changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", scenarios.names())
def test_every_number_of_every_scenario_is_refused_by_name_or_gives_finite_rounds(name):
    if name == "semspacefl":
        pytest.skip("semspacefl-mini has its numbers, and needs no data folder")
    if name == "mega-shell":
        pytest.skip("starlink-shell has its fields, and takes a tenth of the time")
    assert sweep(name, 30, ("constellation", "links", "onboard", "rounds"))


@pytest.mark.parametrize("field", ["onboard.kappa", "onboard.cpu_max_hz", "links.transmit_power_w", "rounds.minimum_s"])
@pytest.mark.parametrize("value", [1e300, 1e-300, 5e-324])
def test_what_would_overflow_in_a_product_is_refused_by_name(field, value):
    with pytest.raises(ScenarioError, match=re.escape(f"{value:g}")) as refusal:
        load("leo-multitask", **{field: value})
    assert f"{field}: must be at " in str(refusal.value)


def test_a_negative_zero_is_a_zero():
    """NumPy draws with a standard deviation of 0, and refuses one of -0."""
    energy = load("leo-multitask", **{"onboard.energy.std_j": -0.0}).onboard.energy
    assert str(energy.std_j) == "0.0"
    assert energy.available_j(np.zeros(3), np.random.default_rng(0)).tolist() == [energy.mean_j] * 3


def test_however_small_its_share_of_a_round_a_satellite_trains_a_minibatch():
    settings = TrainingSettings(batch_size=10, round_share=SMALLEST)
    assert Work.of(np.array([5, 50, 50]), np.array([1, 7, 0]), settings).steps.tolist() == [1, 1, 0]
