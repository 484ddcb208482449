"""The table of the field: what each system reaches, and what it spends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from satfl_baselines.arrays import FloatArray
from satfl_baselines.files import expressible
from satfl_baselines.summary import Comparison, Estimate
from satfl_env import Outcome, judging_metric
from satfl_env.quantities import quantity

# Of the metric that judges; the baseline reaches it within an episode, which is eight hours.
TARGET = 0.8
S_PER_HOUR = 3600.0


class Column(NamedTuple):
    """A quantity of the table: what it is of each episode, (seeds,), NaN where there is none, and digits to show."""

    of: Callable[[Comparison], FloatArray]
    digits: int


def metric_of(comparison: Comparison) -> str:
    """The metric that judges."""
    return judging_metric(comparison.metrics, None)


def curves_of(comparison: Comparison) -> Mapping[str, FloatArray]:
    """What is recorded of a system's rounds, each (seeds, rounds + 1)."""
    (policy,) = comparison.policies
    return comparison.curves(policy)


def final(comparison: Comparison) -> FloatArray:
    """The metric after the last round, mean over satellites, (seeds,)."""
    return curves_of(comparison)[metric_of(comparison)][:, -1]


def hours_to_target(comparison: Comparison) -> FloatArray:
    """Simulated hours until the metric is first at `TARGET`, (seeds,); NaN where it never is."""
    curves = curves_of(comparison)
    reached = curves[metric_of(comparison)] >= TARGET
    first = reached.argmax(axis=1)
    hours = curves["time_s"][np.arange(len(first)), first] / S_PER_HOUR
    return np.where(reached.any(axis=1), hours, np.nan)


def idle_share(comparison: Comparison) -> FloatArray:
    """Share of satellites, over all rounds, that neither fetched nor returned a model in the round, (seeds,)."""
    curves = curves_of(comparison)
    all_of_them = sum(curves[outcome.name.lower()].sum(axis=1) for outcome in Outcome)
    busy = sum(curves[outcome.name.lower()].sum(axis=1) for outcome in (Outcome.RETURNED, Outcome.FETCHED))
    return np.asarray(1.0 - busy / all_of_them)


def _total(*names: str, scale: float = 1.0) -> Callable[[Comparison], FloatArray]:
    """The sum of some costs over an episode."""

    def total(comparison: Comparison) -> FloatArray:
        curves = curves_of(comparison)
        return np.asarray(scale * sum(curves[name].sum(axis=1) for name in names))

    return total


COLUMNS: Mapping[str, Column] = {
    "metric": Column(final, 3),
    "hours_to_target": Column(hours_to_target, 2),
    "hours": Column(lambda comparison: curves_of(comparison)["time_s"][:, -1] / S_PER_HOUR, 2),
    "energy_kj": Column(_total("energy_j", scale=1e-3), 1),
    "sent_gbit": Column(_total("download_bits", "upload_bits", scale=1e-9), 1),
    "returned": Column(_total("returned"), 1),
    "lost": Column(_total("lost"), 1),
    "idle_share": Column(idle_share, 3),
}


def field_rows(played: Mapping[str, Comparison], against: Mapping[str, str]) -> list[dict[str, Any]]:
    """One row per system: means over seeds with half widths of their 95 % intervals.

    `reached` is the number of seeds that reach the target; `hours_to_target` is over those. `minus_baseline` is the
    difference of the metric to that of `baseline`, paired by seed, if that was played.

    Args:
        played: Each system's episodes by its name.
        against: The name of the system that each of them is compared with.
    """
    return [_row(name, own, against[name], played.get(against[name])) for name, own in played.items()]


def _row(name: str, comparison: Comparison, against: str, baseline: Comparison | None) -> dict[str, Any]:
    samples = {column: quantity.of(comparison) for column, quantity in COLUMNS.items()}
    to_target = samples["hours_to_target"]
    samples["hours_to_target"] = to_target[np.isfinite(to_target)]
    minus = np.full(0, np.nan) if baseline is None else samples["metric"] - final(baseline)
    row: dict[str, Any] = {"system": name, "baseline": against, "seeds": len(comparison.seeds)}
    for column, values in {**samples, "minus_baseline": minus}.items():
        mean, half_width = _estimate(values)
        row |= {column: mean, f"{column}_ci95": half_width}
    return dict(expressible({**row, "reached": len(samples["hours_to_target"])}))


def _estimate(samples: FloatArray) -> tuple[float, float]:
    """Mean and half width of some samples; NaN if there are none."""
    if not len(samples):
        return np.nan, np.nan
    estimate = Estimate.of(samples)
    return float(estimate.mean), float(estimate.half_width)


def shown(row: Mapping[str, Any], column: str) -> str:
    """A column of a row, as text."""
    if row[column] is None:
        return "-"
    digits = COLUMNS["metric" if column == "minus_baseline" else column].digits
    sign = "+" if column == "minus_baseline" else ""
    mean, half_width = row[column], row[f"{column}_ci95"]
    text = f"{mean:{sign}.{digits}f}"
    return text if half_width is None else f"{text} ± {half_width:.{digits}f}"


def headings(metric: str) -> Mapping[str, str]:
    """What stands over the columns that are shown."""
    return {
        "metric": quantity(metric).label,
        "minus_baseline": "minus baseline",
        "hours_to_target": f"hours to {TARGET}",
        "energy_kj": "energy (kJ)",
        "sent_gbit": "sent (Gbit)",
        "lost": "lost",
        "idle_share": "idle",
    }


def markdown(rows: Sequence[Mapping[str, Any]], metric: str) -> str:
    """The table for a page."""
    columns = headings(metric)
    lines = [["system", *columns.values(), "reached", "baseline"], ["---"] * (len(columns) + 3)]
    for row in rows:
        reached = f"{row['reached']} of {row['seeds']}"
        values = (shown(row, column) for column in columns)
        lines.append([f"`{row['system']}`", *values, reached, f"`{row['baseline']}`"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
