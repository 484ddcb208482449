"""How the gains of task clustering change when one factor at a time is varied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from satfl_baselines.comparison import compare
from satfl_baselines.files import write_figure, write_table
from satfl_baselines.reproduce import BASE, CLUSTERED, INDIVIDUAL, METRIC, UNCLUSTERED, paired_difference
from satfl_baselines.summary import Comparison, Estimate
from satfl_env.drawing import DEFAULT_FORMATS, own_style
from satfl_env.scenarios import Scenario

POLICIES = (CLUSTERED, UNCLUSTERED, INDIVIDUAL)

# The factors, and the scenario's fields for each of their values.
FACTORS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "samples": {str(number): {"data.partition.samples": (number, number)} for number in (50, 100, 200, 400)},
    "snr_db": {
        str(snr): {"model.channel.snr_db": float(snr), "model.channel.test_snr_db": float(snr)} for snr in (-6, 0, 6)
    },
    "hidden": {str(hidden): {"model.hidden": hidden} for hidden in (16, 64, 128)},
    "channel": {kind: {"model.channel.kind": kind} for kind in ("awgn", "rayleigh", "rician")},
    "upload_snr_db": {"none": {}, **{str(snr): {"links.upload_snr_db": float(snr)} for snr in (20, 0)}},
    "optimizer": {
        "sgd": {},
        "adam": {"training.optimizer": "adam", "training.learning_rate": 1e-3},
    },
    "outputs": {kind: {"data.partition.outputs": kind} for kind in ("alphabet", "own")},
    "first_decoders": {kind: {"training.first_decoders": kind} for kind in ("common", "own")},
    "tested": {kind: {"training.tested": kind} for kind in ("held", "trained")},
}

Point = tuple[str, str]


def play(
    make_scenario: Callable[[Mapping[str, Any]], Scenario],
    seeds: Sequence[int],
    out: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> dict[Point, Comparison]:
    """Compare clustered, unclustered and individual training at every value of every factor.

    Args:
        make_scenario: Makes the scenario with some of its fields changed.
        seeds: Seeds that every policy plays.
        out: Folder of the points' result folders; what they already hold is not played again.
        workers: Processes to play in.
        progress: Called with the numbers of finished and of all episodes.

    Returns:
        The comparison at each (factor, value).
    """
    base = make_scenario({})
    points = {
        (factor, value): make_scenario(fields) for factor, own in FACTORS.items() for value, fields in own.items()
    }
    names = {point: BASE if scenario == base else "-".join(point) for point, scenario in points.items()}
    distinct = {name: points[point] for point, name in names.items()}
    each = len(POLICIES) * len(seeds)
    comparisons = {}
    for index, (name, scenario) in enumerate(distinct.items()):

        def advance(finished: int, _: int, before: int = index * each) -> None:
            progress(before + finished, len(distinct) * each)

        comparisons[name] = compare(scenario, POLICIES, seeds, out / name, workers=workers, progress=advance)
    return {point: comparisons[name] for point, name in names.items()}


def write(
    study: Mapping[Point, Comparison], out: Path, formats: Sequence[str] = DEFAULT_FORMATS
) -> list[dict[str, Any]]:
    """Write the gains as picture and CSV; returns the rows of the latter."""
    rows = gain_rows(study)
    write_table(out / "gains.csv", rows)
    with own_style():
        # Matplotlib takes a while to import, and most who import this package never draw.
        from satfl_baselines.plot import draw_gains

        write_figure(out / "gains", draw_gains(rows), formats)
    return rows


def gain_rows(study: Mapping[Point, Comparison]) -> list[dict[str, Any]]:
    """Average gains in points, with 95 % intervals, and average accuracies: one row per factor and value."""
    rows: list[dict[str, Any]] = []
    for (factor, value), comparison in study.items():
        row: dict[str, Any] = {"factor": factor, "value": value, "seeds": len(comparison.seeds)}
        for other in (UNCLUSTERED, INDIVIDUAL):
            gain = Estimate.of(paired_difference(comparison, CLUSTERED, other, METRIC))
            row |= {f"over_{other}": float(gain.mean), f"over_{other}_ci95": float(gain.half_width)}
        row |= {policy: float(comparison.outcomes(policy)[METRIC].mean()) for policy in POLICIES}
        rows.append(row)
    return rows
