"""Values of overrides are plain data, whatever Python makes them of, within the limits of a scenario's file."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from satfl_env import scenarios
from satfl_env.scenarios import Scenario, ScenarioError


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"x": value}
    return value


CYCLE: list[Any] = []
CYCLE.append(CYCLE)
LOOP: dict[str, Any] = {}
LOOP["x"] = {"x": LOOP}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("rounds", nested(100_000), "nested more than 32 levels"),
        ("rounds", LOOP, "nested more than 32 levels"),
        ("model.widths", CYCLE, "nested more than 32 levels"),
        ("data.partition.tasks", [0] * 20_000, "more than 10000 values"),
        ("data.partition.tasks", np.zeros(20_000), r"more than 10000 values, got an array of shape \(20000,\)"),
        ("rounds", {3: 4}, "keys must be text, got 3"),
        ("model.hidden", {1, 2}, "got a set"),
        ("model.hidden", b"3", "got a bytes"),
        ("model.hidden", (n for n in [3]), "got a generator"),
        ("model.hidden", 10**400, "must not have more than 1024 bits, got 1329"),
        ("onboard.kappa", Fraction(10**400), "a fraction must fit a float"),
        ("data.data_dir", "~nobody-at-all/images", "nobody-at-all"),
        ("data.data_dir", "null\0", "null character"),
    ],
)
def test_values_that_are_no_data_are_refused_by_path(path, value, words):
    with pytest.raises(ScenarioError, match=rf"override '{path}': .*{words}") as caught:
        scenarios.load("leo-multitask", **{path: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", [".".join("d" * 5000), "rounds." + ".".join("d" * 5000), "description" + ".x" * 5000])
def test_paths_of_many_fields_end_in_the_error(path):
    with pytest.raises(ScenarioError):
        scenarios.load("leo-multitask", **{path: 1})


def test_integers_too_long_to_print_are_refused():
    with pytest.raises(ScenarioError, match="must not have more than 1024 bits, got 16610"):
        scenarios.load("leo-multitask", **{"model.hidden": 10**5000})


def test_numbers_of_numpy_and_of_the_standard_library_are_numbers():
    changed = scenarios.load(
        "semspacefl-mini",
        **{
            "training.batch_size": np.int32(7),
            "onboard.kappa": np.float32(0.5),
            "model.widths": np.array([4, 8, 2]),
            "training.learning_rate": Decimal("0.25"),
            "onboard.cpu_max_hz": Fraction(5, 2),
        },
    )
    assert (changed.training.batch_size, changed.model.widths) == (7, (4, 8, 2))
    assert (changed.onboard.kappa, changed.training.learning_rate, changed.onboard.cpu_max_hz) == (0.5, 0.25, 2.5)


def test_paths_in_overrides_are_those_of_the_moment_they_are_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = scenarios.load("leo-multitask", **{"data.data_dir": Path("images")})
    monkeypatch.chdir("/")
    assert given.data.data_dir == str(tmp_path / "images")
    section = scenarios.load("leo-multitask", data={"data_dir": Path("~/images")}).data
    assert section.data_dir == str(Path.home() / "images")


def test_overrides_change_one_loading_alone():
    before = scenarios.load("leo-multitask")
    assert scenarios.load("leo-multitask", **{"rounds.episode": 3, "data.partition": {"samples": [5, 6]}}) != before
    assert scenarios.load("leo-multitask") == before


OFF = ("access", "compression", "faults", "fleet", "local", "server")


@pytest.mark.parametrize("name", ["rush-hour", "unequal", "storm", "leo-multitask"])
def test_null_switches_options_off(name):
    off = scenarios.load(name, **dict.fromkeys(OFF))
    for option in OFF:
        assert getattr(off, option) == Scenario.model_fields[option].default
