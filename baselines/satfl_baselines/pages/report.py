"""What a report shows of folders of results: tables with intervals, curves, configurations, and in what these differ.

A folder has parts: comparisons, and other folders with tables as CSV, as those of training runs and reproductions have.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from satfl_baselines.arrays import FloatArray
from satfl_baselines.commands.run_record import read_run
from satfl_baselines.evaluate import NOT_PLAYED
from satfl_baselines.files import yaml_text
from satfl_baselines.identity import SCENARIO, differences
from satfl_baselines.pages.page import MOST_ROWS
from satfl_baselines.results import FACTS, Finished, finished, holds_comparison
from satfl_baselines.summary import Comparison, Estimate
from satfl_baselines.tables import outcome_columns
from satfl_env.commands.doctor import versions
from satfl_env.quantities import quantity

# Folders in folders that are looked into.
_DEEPEST = 3
_MORE_CURVES = ("test_loss", "energy_j")
_DIGITS = 6


def report(folders: Sequence[Path]) -> dict[str, Any]:
    """What a report shows of some folders, side by side.

    Returns:
        What the script of the page reads, see `templates/report.js`.

    Raises:
        ValueError: If a folder holds no results, or a file in it is damaged; the message names it.
        OSError: If it cannot be read.
    """
    found = [dict(_parts(folder, folder)) for folder in folders]
    for folder, parts in zip(folders, found, strict=True):
        if not parts:
            what = "holds no results" if folder.is_dir() else "is not there"
            raise ValueError(f"folder {str(folder)!r} {what}; a report is of folders that satfl wrote")
    return {
        "versions": versions(),
        "folders": [
            {
                "name": str(folder),
                "run": read_run(folder),
                "parts": [{"name": name, **part.shown()} for name, part in parts.items()],
            }
            for folder, parts in zip(folders, found, strict=True)
        ],
        "differences": _differences(found),
    }


class ComparisonPart:
    """A comparison in a folder: what its finished episodes say."""

    def __init__(self, folder: Path) -> None:
        self._finished: Finished = finished(folder)

    @property
    def record(self) -> Mapping[str, Any]:
        """What its episodes belong to."""
        return self._finished.record

    def shown(self) -> dict[str, Any]:
        """Its table and curves, over the seeds that all its policies have played."""
        episodes = self._finished.episodes
        policies = tuple(dict.fromkeys(run.policy for run in episodes))
        seeds = {policy: {run.seed for run in episodes if run.policy == policy} for policy in policies}
        common = tuple(sorted(set.intersection(*seeds.values()))) if seeds else ()
        shown = {
            "title": self.record["scenario"]["name"],
            "facts": {**{name: self.record[name] for name in FACTS}, "episodes": len(episodes)},
            "configuration": yaml_text(self.record["scenario"]),
            "seeds": list(common),
            "tables": [],
            "curves": [],
        }
        if not common:
            return shown
        comparison = Comparison(policies, common, episodes)
        return shown | {"tables": [_outcomes(comparison)], "curves": list(_curves(comparison))}


class TablesPart:
    """Tables in a folder."""

    record: Mapping[str, Any] = {}

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        self._scenario, self._files = folder / SCENARIO, files

    def shown(self) -> dict[str, Any]:
        """The tables, and curves of those that are of training."""
        tables = {file.stem: _read_table(file) for file in self._files}
        return {
            "title": "",
            "facts": {},
            "configuration": self._scenario.read_text(encoding="utf-8") if self._scenario.is_file() else "",
            "seeds": [],
            "tables": [_table(name, rows) for name, rows in tables.items() if rows],
            "curves": [curve for name, rows in tables.items() for curve in _training_curves(name, rows)],
        }


def _parts(folder: Path, inside: Path, depth: int = 0) -> Iterator[tuple[str, ComparisonPart | TablesPart]]:
    """Results in a folder by where they are in it, the folder's own first."""
    name = "" if inside == folder else inside.relative_to(folder).as_posix()
    if holds_comparison(inside):
        yield name, ComparisonPart(inside)
        return
    if files := sorted(inside.glob("*.csv")):
        yield name, TablesPart(inside, files)
    if depth < _DEEPEST and inside.is_dir():
        for below in sorted(it for it in inside.iterdir() if it.is_dir()):
            yield from _parts(folder, below, depth + 1)


def _outcomes(comparison: Comparison) -> dict[str, Any]:
    """Outcomes of the policies of a comparison: means and half widths of 95 % intervals."""
    columns = outcome_columns(comparison)
    rows = []
    for policy in comparison.policies:
        estimates = comparison.estimates(policy)
        cells = (
            [float(estimates[name].mean * scale), float(estimates[name].half_width * scale), digits]
            for _, name, scale, digits in columns
        )
        rows.append([policy, *cells])
    title = "Outcomes: mean ± half width of the 95 % interval"
    return {"name": title, "columns": ["policy", *(column.heading for column in columns)], "rows": rows, "hidden": 0}


def _curves(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Means with their 95 % intervals round by round."""
    curves = {policy: comparison.curves(policy) for policy in comparison.policies}
    for name in (*comparison.primary, *_MORE_CURVES):
        shown = quantity(name)
        # Before the first round nothing is spent.
        played = np.where(np.arange(comparison.rounds + 1) == 0, np.nan, 1.0) if name in NOT_PLAYED else 1.0
        estimates = {policy: Estimate.of(own[name] * shown.factor * played) for policy, own in curves.items()}
        yield {"name": shown.label, "x": None, "series": [_series(policy, own) for policy, own in estimates.items()]}


def _series(name: str, estimate: Estimate) -> dict[str, Any]:
    bounded = np.isfinite(estimate.half_width).any()
    return {
        "name": name,
        "values": _rounded(estimate.mean),
        "low": _rounded(estimate.mean - estimate.half_width) if bounded else None,
        "high": _rounded(estimate.mean + estimate.half_width) if bounded else None,
    }


def _rounded(values: FloatArray) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]


def _read_table(file: Path) -> list[dict[str, Any]]:
    """The rows of a table, with numbers as numbers; None where there is nothing."""
    with file.open(newline="", encoding="utf-8", errors="replace") as lines:
        return [{str(name): _value(text) for name, text in row.items()} for row in csv.DictReader(lines)]


def _value(text: Any) -> Any:
    try:
        return float(text)
    except (TypeError, ValueError):
        return text or None


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A table whose columns `<name>_ci95`, or `<name>_low` and `<name>_high`, are in the cells of `<name>`."""
    names = list(rows[0])
    bounds = {f"{name}{bound}" for name in names for bound in ("_ci95", "_low", "_high")}
    columns = [name for name in names if name not in bounds]
    return {
        "name": name,
        "columns": [quantity(column).label for column in columns],
        "rows": [[_cell(row, column) for column in columns] for row in rows[:MOST_ROWS]],
        "hidden": max(len(rows) - MOST_ROWS, 0),
    }


def _cell(row: Mapping[str, Any], column: str) -> Any:
    """What a cell holds, in the unit of its heading."""
    factor = quantity(column).factor
    value, half_width, low, high = (
        it * factor if isinstance(it := row.get(f"{column}{bound}"), float) else it
        for bound in ("", "_ci95", "_low", "_high")
    )
    if f"{column}_ci95" in row:
        return [value, half_width, None]
    return {"value": value, "low": low, "high": high} if f"{column}_low" in row else value


def _training_curves(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A curve for every number that changes in a table with rows for so many rounds of training.

    Several rows for the same rounds count as their mean.
    """
    if not rows or next(iter(rows[0])) != "rounds":
        return
    rounds, place = np.unique([row["rounds"] for row in rows], return_inverse=True)
    thinned = slice(None, None, -(-len(rounds) // MOST_ROWS))
    for column in list(rows[0])[1:]:
        values = [row[column] for row in rows]
        if len({*values} - {None}) < 2 or not all(isinstance(value, float | None) for value in values):
            continue
        known = np.array([value is not None for value in values])
        sums = np.bincount(place, [value or 0.0 for value in values], len(rounds))
        with np.errstate(invalid="ignore"):
            means = sums / np.bincount(place, known, len(rounds)) * quantity(column).factor
        series = {"name": column, "values": _rounded(means[thinned]), "low": None, "high": None}
        yield {"name": f"{name}: {quantity(column).label}", "x": rounds[thinned].tolist(), "series": [series]}


def _differences(found: Sequence[Mapping[str, ComparisonPart | TablesPart]]) -> list[dict[str, Any]]:
    """In what the comparisons of the folders differ from those of the first: values by the number of the folder."""
    first, *others = found
    rows: dict[tuple[str, str], dict[int, str]] = {}
    for number, other in enumerate(others, start=1):
        for part in first.keys() & other.keys():
            for name, one, its in differences(first[part].record, other[part].record):
                rows.setdefault((part, name), {0: one})[number] = its
    return [
        {"part": part, "name": name, "values": [values.get(number) for number in range(len(found))]}
        for (part, name), values in sorted(rows.items())
    ]
