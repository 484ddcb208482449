"""What results belong to: a record of everything they depend on, which their folder keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from satfl_baselines.files import first_problem, of_another_version, read_json, write_json, write_yaml
from satfl_baselines.qualified import describe
from satfl_env import __version__
from satfl_env.scenarios import Scenario

SCENARIO = "scenario.yaml"
# Data sets may be moved: the record tells where they were last, and results do not depend on it.
PLACES = {"scenario.data.data_dir"}


def identity(scenario: Scenario, **settings: Any) -> dict[str, Any]:
    """The record of a scenario and of other settings, in which the user's own objects are known by their names."""
    return {
        **describe(settings),
        "version": __version__,
        "batches_per_epoch": scenario.training.batches_per_epoch,
        "scenario": scenario.model_dump(mode="json"),
    }


def depended_on(record: Mapping[str, Any]) -> dict[str, Any]:
    """What of a record results depend on."""
    return {name: value for name, value in _flat(record).items() if name not in PLACES}


def write_record(file: Path, record: Mapping[str, Any]) -> None:
    """Write a record into a folder, and its scenario as a file that can be read and played."""
    write_json(file, record)
    write_yaml(file.with_name(SCENARIO), record["scenario"], f"# As played by satfl {record['version']}.\n")


def read_record(file: Path, kind: str, form: Any = dict[str, Any]) -> Any:
    """The record of a folder that is not new, checked against a form that pydantic knows.

    Raises:
        ValueError: If the folder holds no results of that kind: "comparison" or "search".
        OSError: If it cannot be read.
    """
    none = f"folder {str(file.parent)!r} is not empty and holds no {kind}"
    if not file.exists():
        raise ValueError(f"{none}; choose a new or an empty one")
    try:
        return read_json(file, form)
    except ValueError as error:
        if (version := _version(file)) is not None and isinstance(error.__cause__, ValidationError):
            raise of_another_version(file, first_problem(error.__cause__), version) from error
        raise ValueError(f"{none}: {error}") from error


def _version(file: Path) -> Any:
    """The version that a record names; None if it names none."""
    with suppress(ValueError):
        return read_json(file, dict[str, Any]).get("version")
    return None


def require_same(path: Path, kind: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise `ValueError` that names what differs if a folder's record is not the one of the results to be kept in it.

    Args:
        path: The folder.
        kind: What results are of: "comparison" or "training run".
        there: The folder's record.
        here: The new one.
    """
    changed = differences(there, here)
    if changed:
        named = first_of([f"{name} is {one} there and {other} here" for name, one, other in changed], 4)
        advice = (
            "; go on with that version, or choose another folder" if there.get("version") != here.get("version") else ""
        )
        raise ValueError(f"folder {str(path)!r} belongs to another {kind}: {'; '.join(named)}{advice}")


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What results depend on that differs between two records: its dotted name, and its value in each."""
    one, other = _flat(_by_place(one)), _flat(_by_place(other))
    names = [name for name in other | one if name not in PLACES and one.get(name) != other.get(name)]
    return [(name, _short(one.get(name)), _short(other.get(name))) for name in names]


def first_of(texts: Sequence[str], most: int, hint: str = "") -> list[str]:
    """The first of some texts, and how many more there are; with a hint how to see them."""
    hidden = len(texts) - most
    return [*texts[:most], f"and {hidden} more{hint}"] if hidden > 0 else list(texts)


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _by_place(value: Any) -> Any:
    """The same with lists of mappings, such as kinds of satellites, as mappings by place."""
    if isinstance(value, list) and value and all(isinstance(it, Mapping) for it in value):
        value = {str(place): it for place, it in enumerate(value)}
    return {key: _by_place(it) for key, it in value.items()} if isinstance(value, Mapping) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
