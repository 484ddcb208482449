"""Whatever value a field of a scenario is given ends in a scenario or in a ScenarioError, within a second."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from satfl_env import scenarios
from satfl_env.scenarios import FederatedImages, Scenario, ScenarioError
from satfl_env.simulation import RoundSettings
from tests.timing import within_a_second

DUMPS = {name: scenarios.load(name).model_dump(mode="json") for name in scenarios.names()}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where everything inside a value is, as keys and indices."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (*path, key)
        yield from places(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def changed(raw: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    at(raw, path[:-1])[path[-1]] = value
    return raw


def number_or_null(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


@pytest.mark.parametrize("name", DUMPS)
@pytest.mark.parametrize("value", [True, np.True_, float("nan"), float("inf")])
def test_no_number_of_a_scenario_may_be_true_or_not_finite(name, value):
    raw = DUMPS[name]
    taken = []
    for path in places(raw):
        if number_or_null(at(raw, path)):
            with suppress(ValidationError):
                Scenario.model_validate(changed(raw, path, value))
                taken.append(path)
    assert not taken


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("training.batch_size", True, "must be an integer, got True"),
        ("rounds.minimum_s", np.True_, "must be a number, got True"),
        ("rounds.episode", 2**31, "Input should be less than or equal to 2147483647, got 2147483648"),
        ("rounds.episode", 2.5, "got a number with a fractional part, got 2.5"),
        ("training.workers", 100_000, "Input should be less than or equal to 256, got 100000"),
    ],
)
def test_messages_say_what_a_number_may_be(path, value, problem):
    with pytest.raises(ScenarioError) as caught:
        scenarios.load("leo-multitask", **{path: value})
    assert str(caught.value).splitlines()[1:] == [f"  {path}: {problem}"] or problem in str(caught.value)


def test_whole_numbers_may_be_written_with_a_point():
    assert scenarios.load("leo-multitask", **{"rounds.episode": 2.0}).rounds.episode == 2


def numbers_as_text(value: Any) -> Any:
    """The same value with its numbers in quotes."""
    if isinstance(value, dict):
        return {key: numbers_as_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [numbers_as_text(inner) for inner in value]
    return str(value) if number_or_null(value) and value is not None else value


@pytest.mark.parametrize("name", DUMPS)
def test_text_that_spells_a_number_is_that_number_wherever_one_is_wanted(name):
    assert Scenario.model_validate(numbers_as_text(DUMPS[name])) == Scenario.model_validate(DUMPS[name])


def test_settings_in_plain_python_are_as_strict():
    with pytest.raises(ValidationError, match="must be an integer, got True"):
        RoundSettings(episode=True)
    images = (np.zeros((2, 4, 4), dtype=np.uint8), np.array([0, 1]))
    with pytest.raises(TypeError, match="test_samples must be an integer, got True"):
        FederatedImages(images, images, partition={"kind": "equal"}, test_samples=True)
    with pytest.raises(TypeError, match="torch_threads must be an integer, got True"):
        scenarios.build("leo-multitask", torch_threads=True)


def test_many_problems_are_not_all_told():
    with pytest.raises(ScenarioError) as caught:
        scenarios.load("semspacefl-mini", **{"data.partition": {"kind": "counts", "counts": [-1] * 5000}})
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  and 4980 more"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 3)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, -(10**20), 1e308, "planar", "tle", "1e6", "/dev/zero", "/", "2026-01-01", "nan"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "name", "x"]), inner),
    max_leaves=5,
)
PLACES = st.sampled_from([(name, path) for name, raw in DUMPS.items() for path in places(raw)])


@given(PLACES, JSON)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_value_of_any_field_ends_in_a_scenario_or_its_error(place, value):
    name, path = place
    sections = changed(DUMPS[name], path, value)
    with within_a_second(), suppress(ScenarioError):
        assert isinstance(scenarios.load(name, **sections), Scenario)
