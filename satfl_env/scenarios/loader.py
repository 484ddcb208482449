"""Loading scenarios by name or from a YAML file, with dotted overrides and errors that name the field."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from satfl_env.builtin import names, yaml_text
from satfl_env.orbits import samples
from satfl_env.scenarios.errors import ScenarioError
from satfl_env.scenarios.explain import explain
from satfl_env.scenarios.schema import Scenario
from satfl_env.suggestions import did_you_mean

# Fields that hold a path.
_PATHS = (("constellation", "elements"), ("data", "data_dir"))


class _UniqueKeys(yaml.SafeLoader):
    """The safe loader, which rejects a key that is given twice in one mapping."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping.

        Raises:
            yaml.YAMLError: If a key is given twice; the message names it and both lines.
        """
        node = super().compose_mapping_node(anchor)
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise yaml.YAMLError(f"line {line}: key {key.value!r} was given in line {lines[key.value]} already")
            lines[key.value] = line
        return node


def load(name_or_path: str | Path, **overrides: Any) -> Scenario:
    """Load a built-in scenario by name, or one of your own from a `.yaml` or `.yml` file.

    Args:
        name_or_path: A name from `names()` or the path of a YAML file (read with the safe loader). Paths in the file
            are relative to its folder, those in overrides to the working directory.
        **overrides: Values to change, keyed by dotted field names. A mapping is merged into its section, or replaces
            it if it changes the section's `kind`:
            `load("leo-multitask", **{"training.batch_size": 16, "rounds": {"episode": 5}})`.

    Raises:
        ScenarioError: If there is no such scenario, or a field is unknown, misshapen or out of range.
        TypeError: If `name_or_path` is neither text nor a path.
    """
    if not isinstance(name_or_path, str | Path):
        raise TypeError(
            f"name_or_path must be a scenario's name or a YAML file's path, got {reprlib.repr(name_or_path)}"
        )
    text = _read(name_or_path)
    try:
        raw = yaml.load(text, _UniqueKeys)
    except (yaml.YAMLError, ValueError) as error:  # a date that does not exist raises a plain ValueError
        raise ScenarioError(f"scenario {str(name_or_path)!r} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ScenarioError(f"scenario {str(name_or_path)!r} must be a mapping of sections, got {type(raw).__name__}")
    if _is_file(name_or_path):
        _anchor_paths(raw, Path(name_or_path).resolve().parent)
    for path, value in overrides.items():
        _override(raw, path, value)
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        raise ScenarioError(explain(str(name_or_path), error)) from error


def resolve(scenario: str | Path | Scenario, overrides: Mapping[str, Any] | None = None) -> Scenario:
    """The scenario that is given by its name, by the path of its file, or itself.

    Args:
        scenario: What `load` takes, or a loaded scenario.
        overrides: Values to change, keyed by dotted field names, as for `load`; none with a loaded scenario.

    Raises:
        ScenarioError: If there is no such scenario, or it is not valid.
        TypeError: If it is neither text, a path nor a scenario, or the overrides are not a mapping of names.
        ValueError: If overrides are given with a loaded scenario.
    """
    if isinstance(scenario, Scenario):
        if overrides:
            raise ValueError(
                "overrides go with a scenario's name or path; give them to scenarios.load() for a loaded one"
            )
        return scenario
    overrides = {} if overrides is None else overrides
    if not (isinstance(overrides, Mapping) and all(isinstance(name, str) for name in overrides)):
        raise TypeError(f"overrides must be a mapping of dotted field names (text) to values, got {overrides!r}")
    return load(scenario, **overrides)


def _read(name_or_path: str | Path) -> str:
    if _is_file(name_or_path):
        path = Path(name_or_path)
        if not path.is_file():
            raise ScenarioError(f"there is no scenario file {str(path)!r}")
        return path.read_text(encoding="utf-8")
    name = str(name_or_path)
    if name not in names():
        raise ScenarioError(f"unknown scenario {name!r}{did_you_mean(name, names())}; built in: {', '.join(names())}")
    return yaml_text(name)


def _is_file(name_or_path: str | Path) -> bool:
    return Path(name_or_path).suffix in {".yaml", ".yml"}


def _anchor_paths(raw: dict[str, Any], folder: Path) -> None:
    """Resolve the relative paths in a scenario's file against its folder, in place."""
    for section, field in _PATHS:
        fields = raw.get(section)
        if not isinstance(fields, dict):
            continue
        value = fields.get(field)
        if isinstance(value, str) and value and value not in samples():
            fields[field] = str(folder / Path(value).expanduser())


def _override(raw: dict[str, Any], path: str, value: Any) -> None:
    section = raw
    *parents, key = path.split(".")
    for depth, parent in enumerate(parents):
        inner = section.get(parent)
        # A section that is null has no fields yet.
        if inner is None:
            inner = section[parent] = {}
        if not isinstance(inner, dict):
            raise ScenarioError(f"override {path!r}: {'.'.join(parents[: depth + 1])!r} has no fields inside")
        section = inner
    present, value = section.get(key), _copy(value)
    if isinstance(value, dict) and isinstance(present, dict) and _same_kind(present, value):
        section[key] = {**present, **value}
    else:
        section[key] = value


def _copy(value: Any) -> Any:
    """A copy of a value, whose mappings may be changed without changing the caller's."""
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _same_kind(present: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return "kind" not in value or value["kind"] == present.get("kind")
