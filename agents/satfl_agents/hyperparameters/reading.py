"""Reading hyperparameters: a YAML file of the package for each algorithm, and changes on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from itertools import takewhile
from typing import Any

from pydantic import ValidationError

from satfl_agents.algorithms.algorithm import algorithm
from satfl_agents.hyperparameters.learner import learner_settings
from satfl_agents.hyperparameters.sections import Hyperparameters
from satfl_env.scenarios import Scenario
from satfl_env.scenarios.explain import paths_to, problem_lines
from satfl_env.scenarios.reader import read_yaml
from satfl_env.scenarios.section import Section
from satfl_env.suggestions import near, question

_FOLDER = resources.files(__package__)
# What a scenario's section of a file replaces as a whole.
_WHOLE = ("observation", "action")


def load_hyperparameters(algo: str, scenario: str, changes: Mapping[str, Any] | None = None) -> Hyperparameters:
    """Hyperparameters of an algorithm on a scenario.

    Args:
        algo: Name of the algorithm.
        scenario: Name of the scenario; without a section of its own it gets the default values.
        changes: Values to change, by dotted names: `learner.learning_rate`.

    Raises:
        ValueError: If there is no such algorithm, or a name or value is not valid; the message says which.
    """
    file, changes = read_file(algo), changes or {}
    for name in changes:
        if meant := _meant_for_learner(name, learner_settings(algo)):
            raise ValueError(f"hyperparameter {name}: unknown key{question(f'learner.{it}' for it in meant)}")
    return _checked(merged(file["default"], file.get("scenarios", {}).get(scenario, {})), changes)


def with_changes(settings: Hyperparameters, changes: Mapping[str, Any]) -> Hyperparameters:
    """Hyperparameters with some changed, by dotted names; errors are those of `load_hyperparameters`."""
    return _checked(settings.model_dump(), changes)


def read_file(algo: str) -> dict[str, Any]:
    """The file of an algorithm: values by `default`, by name of `scenarios`, and what `search` may try.

    Raises:
        ValueError: If there is no such algorithm.
    """
    algorithm(algo)  # raises if there is none
    values: dict[str, Any] = read_yaml((_FOLDER / f"{algo}.yaml").read_text(encoding="utf-8"))
    return values


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with changes; sections are merged, forms replaced."""

    def after(name: str, value: Any) -> Any:
        before = values.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping) and name not in _WHOLE:
            return merged(before, value)
        return value

    return {**values, **{name: after(name, value) for name, value in changes.items()}}


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted names as sections."""
    sections: dict[str, Any] = {}
    for path, value in flat.items():
        first, _, rest = path.partition(".")
        sections = merged(sections, {first: nested({rest: value}) if rest else value})
    return sections


def _meant_for_learner(name: str, settings: Iterable[str]) -> list[str]:
    """Settings of the learner that an unknown name may mean; none if it may be a hyperparameter or the scenario's."""
    if name in Hyperparameters.model_fields or "." in name:
        return []
    if name in settings:
        return [name]
    if any(_settings(name, Hyperparameters)) or any(_settings(name, Scenario)):
        return []
    guesses = near(name, {*Hyperparameters.model_fields, *settings})
    return list(takewhile(set(settings).__contains__, guesses))


def _checked(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Hyperparameters:
    try:
        return Hyperparameters(**merged(values, nested(changes)))
    except ValidationError as error:
        line = problem_lines(error, root=Hyperparameters)[0]
        raise ValueError(f"hyperparameter {line}{_of_scenario(line.partition(':')[0], changes)}") from error


def _of_scenario(place: str, changes: Mapping[str, Any]) -> str:
    """Where to state what was changed at a place, if it is a setting of the scenario and no hyperparameter."""
    for name in changes:
        if f"{name}.".startswith(f"{place}.") and not list(_settings(name, Hyperparameters)):
            for path in _settings(name, Scenario):
                return f"; the scenario has such a setting: --set {path}=VALUE"
    return ""


def _settings(name: str, section: type[Section]) -> Iterator[str]:
    """Dotted paths in a section that end with a name."""
    return (path for path in paths_to(name.rpartition(".")[2], section) if f".{path}".endswith(f".{name}"))
