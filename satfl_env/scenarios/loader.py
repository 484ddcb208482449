"""Loading scenarios by name or from a YAML file, with dotted overrides and errors that name the field."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from satfl_env.scenarios.schema import Scenario


class _UniqueKeys(yaml.SafeLoader):
    """The safe loader, which refuses a key that is given twice in one mapping."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Compose a mapping.

        Raises:
            yaml.YAMLError: If a key is there twice; the message names it and both lines.
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


class ScenarioError(ValueError):
    """A scenario that does not exist or does not hold together; the message names field, value and what is allowed."""


def names() -> tuple[str, ...]:
    """Names of the built-in scenarios, sorted."""
    files = resources.files("satfl_env.scenarios").joinpath("builtin").iterdir()
    return tuple(sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml")))


def load(name_or_path: str | Path, **overrides: Any) -> Scenario:
    """Load a built-in scenario by name, or one of your own from a `.yaml` or `.yml` file.

    Args:
        name_or_path: A name from `names()` or the path of a YAML file (read with the safe loader).
        **overrides: Values to change, keyed by dotted field names. A mapping is merged into its section, or takes its
            place where it changes the section's `kind`:
            `load("leo-multitask", **{"training.batch_size": 16, "rounds": {"episode": 5}})`.

    Raises:
        ScenarioError: If there is no such scenario, or a field is unknown, misshapen or out of range.
    """
    text = _read(name_or_path)
    try:
        raw = yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        raise ScenarioError(f"scenario {str(name_or_path)!r} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ScenarioError(f"scenario {str(name_or_path)!r} must be a mapping of sections, got {type(raw).__name__}")
    for path, value in overrides.items():
        _override(raw, path, value)
    try:
        return Scenario.model_validate(raw)
    except ValidationError as error:
        raise ScenarioError(_explain(str(name_or_path), raw, error)) from error


def _read(name_or_path: str | Path) -> str:
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise ScenarioError(f"there is no scenario file {str(path)!r}")
        return path.read_text(encoding="utf-8")
    name = str(name_or_path)
    if name not in names():
        raise ScenarioError(f"unknown scenario {name!r}{_near(name, names())}; built in: {', '.join(names())}")
    return resources.files("satfl_env.scenarios").joinpath("builtin", f"{name}.yaml").read_text(encoding="utf-8")


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
    """A value whose mappings may be changed without changing the caller's."""
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _same_kind(present: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return "kind" not in value or value["kind"] == present.get("kind")


def _explain(name: str, raw: Mapping[str, Any], error: ValidationError) -> str:
    lines = [f"scenario {name!r} is not valid:"]
    for problem in error.errors():
        location = ".".join(_field_path(raw, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            field = str(problem["loc"][-1])
            lines.append(f"  {location}: unknown key{_near(field, _known_fields(problem['loc'][:-1]))}")
        elif problem["type"] == "missing":
            lines.append(f"  {location}: missing")
        elif problem["type"] == "value_error":
            # A check of our own, which tells the value itself.
            lines.append(f"  {location or 'scenario'}: {problem['ctx']['error']}")
        else:
            lines.append(f"  {location or 'scenario'}: {problem['msg']}, got {problem['input']!r}"[:500])
    return "\n".join(lines)


def _field_path(raw: Any, location: Sequence[int | str]) -> list[str]:
    """The location of a validation error as in an override: without the kinds of sections, which pydantic puts in."""
    path: list[str] = []
    section, entered = raw, False
    for part in location:
        if entered and isinstance(section, Mapping) and part == section.get("kind"):
            entered = False
            continue
        path.append(str(part))
        known = isinstance(section, Mapping) and part in section
        section, entered = section[part] if known else None, known
    return path


def _known_fields(location: Sequence[int | str]) -> list[str]:
    """Field names of the section at a location of a validation error (union tags are part of the location)."""
    candidates: list[type[BaseModel]] = [Scenario]
    for part in location:
        candidates = [inner for model in candidates for inner in _inner_sections(model, str(part))] or candidates
    return sorted({field for model in candidates for field in model.model_fields})


def _inner_sections(model: type[BaseModel], field: str) -> list[type[BaseModel]]:
    if field not in model.model_fields:
        return []
    found: list[type[BaseModel]] = []
    pending: list[Any] = [model.model_fields[field].annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        pending.extend(getattr(annotation, "__args__", ()))
    return found


def _near(word: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(word, known, n=3)
    return f", did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
