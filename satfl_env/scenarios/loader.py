"""Loading scenarios by name or from a YAML file, with dotted overrides and errors that name the field."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Mapping
from copy import deepcopy
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from satfl_env.builtin import is_file, require_scenario, yaml_text
from satfl_env.orbits import samples
from satfl_env.paths import expanded, require_file
from satfl_env.scenarios.errors import ScenarioError, prefixed
from satfl_env.scenarios.explain import explain
from satfl_env.scenarios.limits import MOST_BYTES, check_plain_extent
from satfl_env.scenarios.plain import plain
from satfl_env.scenarios.reader import decode, read_yaml
from satfl_env.scenarios.schema import Scenario

# Fields that hold a path, or a list of them.
_PATHS = (("constellation", "elements"), ("data", "data_dir"))


def load(name_or_path: str | os.PathLike[str], **overrides: Any) -> Scenario:
    """Load a built-in scenario by name, or one of your own from a `.yaml` or `.yml` file.

    Args:
        name_or_path: A name from `names()` or the path of a YAML file (UTF-8, read with a safe loader, at most
            131,072 bytes, 10,000 values and 32 levels). Paths in the file are relative to its folder, those in
            overrides to the working directory at this call; `~` is your home.
        **overrides: Values to change, keyed by dotted field names. A mapping is merged into its section, or replaces
            it if it changes the section's `kind`:
            `load("leo-multitask", **{"training.batch_size": 16, "rounds": {"episode": 5}})`.

    Raises:
        ScenarioError: If there is no such scenario, or a field is unknown, misshapen or out of range.
        TypeError: If `name_or_path` is neither text nor a path.
    """
    name = _as_text(name_or_path)
    with prefixed("", ScenarioError):
        require_scenario(name)
    raw = _read_file(name) if is_file(name) else deepcopy(_builtin(name))
    for path, value in overrides.items():
        with prefixed(f"override {path!r}: ", ScenarioError):
            _override(raw, path, anchored_override(path, value))
    with prefixed(f"scenario {name!r} ", ScenarioError):
        check_plain_extent(raw)
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        raise ScenarioError(explain(name, error)) from error


def resolve(scenario: str | os.PathLike[str] | Scenario, overrides: Mapping[str, Any] | None = None) -> Scenario:
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


def anchored(name_or_path: str | os.PathLike[str]) -> str:
    """A scenario's name, or the absolute path of its file.

    Raises:
        TypeError: If it is neither text nor a path.
        ValueError: If no file can have this name.
    """
    name = _as_text(name_or_path)
    return str(expanded(name).absolute()) if is_file(name) else name


def anchored_override(path: str, value: Any) -> Any:
    """The value of an override as plain data, with relative paths made absolute.

    Args:
        path: The dotted field name.
        value: Its value.

    Raises:
        ValueError: If it is no data.
    """
    raw: dict[str, Any] = {}
    _override(raw, path, plain(value))
    _anchor_paths(raw, Path())
    return reduce(getitem, path.split("."), raw)


def _as_text(name_or_path: str | os.PathLike[str]) -> str:
    name = os.fspath(name_or_path) if isinstance(name_or_path, str | os.PathLike) else None
    if not isinstance(name, str):
        raise TypeError(
            f"name_or_path must be a scenario's name or a YAML file's path, got {reprlib.repr(name_or_path)}"
        )
    return name


@cache
def _builtin(name: str) -> dict[str, Any]:
    return _parse(name, yaml_text(name))


def _read_file(name: str) -> dict[str, Any]:
    with prefixed(f"scenario {name!r}: ", ScenarioError):
        file = expanded(name)
        raw = _parse(name, decode(_content(file)))
        _anchor_paths(raw, file.resolve().parent)
    return raw


def _content(file: Path) -> bytes:
    """The content of a scenario's file, one byte more than allowed at most."""
    try:
        require_file(file)
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ScenarioError(f"scenario file {str(file)!r} cannot be read: {error.strerror}") from error


def _parse(name: str, text: str) -> dict[str, Any]:
    with prefixed(f"scenario {name!r} is not valid YAML: ", ScenarioError):
        raw = read_yaml(text)
    if not isinstance(raw, dict):
        raise ScenarioError(f"scenario {name!r} must be a mapping of sections, got {type(raw).__name__}")
    with prefixed(f"scenario {name!r}: ", ScenarioError):
        return dict(plain(raw))


def _anchor_paths(raw: dict[str, Any], folder: Path) -> None:
    """Make the relative paths in a scenario absolute, seen from a folder, in place."""
    for section, field in _PATHS:
        fields = raw.get(section)
        if not isinstance(fields, dict):
            continue
        value = fields.get(field)
        if isinstance(value, str):
            fields[field] = _anchored_path(value, folder)
        elif isinstance(value, list):
            fields[field] = [_anchored_path(item, folder) if isinstance(item, str) else item for item in value]


def _anchored_path(path: str, folder: Path) -> str:
    if not path or path in samples():
        return path
    return str((folder / expanded(path)).absolute())


def _override(raw: dict[str, Any], path: str, value: Any) -> None:
    section = raw
    *parents, key = path.split(".")
    for depth, parent in enumerate(parents):
        inner = section.get(parent)
        # A section that is null has no fields yet.
        if inner is None:
            inner = section[parent] = {}
        if not isinstance(inner, dict):
            raise ValueError(f"{'.'.join(parents[: depth + 1])!r} has no fields inside")
        section = inner
    present = section.get(key)
    if isinstance(value, dict) and isinstance(present, dict) and _same_kind(present, value):
        section[key] = {**present, **value}
    else:
        section[key] = value


def _same_kind(present: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return "kind" not in value or value["kind"] == present.get("kind")
