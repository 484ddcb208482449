"""The figures of the task clustering paper, and checks of its claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from satfl_baselines.arrays import FloatArray
from satfl_baselines.comparison import compare
from satfl_baselines.files import write_figure, write_table
from satfl_baselines.results import curve_rows, summarise
from satfl_baselines.summary import OF, Comparison, Estimate
from satfl_env.counted import counted
from satfl_env.drawing import DEFAULT_FORMATS, own_style
from satfl_env.scenarios import Scenario

SCENARIO = "task-clustering"
CLUSTERED, UNCLUSTERED, INDIVIDUAL, LABEL_FREE = "task-clustering", "unclustered", "individual", "update-clustering"
POLICIES = (CLUSTERED, UNCLUSTERED, INDIVIDUAL, LABEL_FREE)
DIFFERENCES = ((CLUSTERED, UNCLUSTERED), (CLUSTERED, INDIVIDUAL), (UNCLUSTERED, INDIVIDUAL), (CLUSTERED, LABEL_FREE))

METRIC = "accuracy"
AVERAGE = "average"
# Largest gains that the paper names, in points of accuracy.
PAPERS_GAINS = {UNCLUSTERED: 7.18, INDIVIDUAL: 4.77}


# Folder of the episodes in the published regime.
BASE = "base"


class Figure(StrEnum):
    """What can be reproduced: accuracy of each task, on average, and how the gains move with the regime."""

    FIG2 = "fig2"
    FIG3 = "fig3"
    GAINS = "gains"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, what a reproduction measured, and whether the two agree."""

    claim: str
    paper: str
    measured: str
    holds: str


def play(
    scenario: Scenario,
    seeds: Sequence[int],
    out: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> Comparison:
    """Play every policy on every seed, except for what a result folder under `out` already holds."""
    comparison = compare(scenario, POLICIES, seeds, out / BASE, workers=workers, progress=progress)
    summarise(out / BASE, comparison)
    return comparison


def write(
    comparison: Comparison, figures: Sequence[Figure], out: Path, formats: Sequence[str] = DEFAULT_FORMATS
) -> None:
    """Write curves as pictures and CSV, paired differences, clusters on every seed, and claims."""
    *of_tasks, average = quantities(comparison).values()
    for figure in figures:
        shown = of_tasks if figure == Figure.FIG2 else [average]
        write_table(out / f"{figure}.csv", curve_rows(comparison, shown))
        _draw(comparison, figure, shown, out, formats)
    write_table(out / "differences.csv", difference_rows(comparison))
    write_table(out / "clusters.csv", cluster_rows(comparison))
    write_table(out / "claims.csv", [asdict(claim) for claim in claims(comparison)])


@own_style()
def _draw(comparison: Comparison, figure: Figure, shown: Sequence[str], out: Path, formats: Sequence[str]) -> None:
    # Matplotlib takes a while to import, and most who import this package never draw.
    from satfl_baselines.plot import draw_curves

    write_figure(out / figure, draw_curves(comparison, f"{figure}, seeds: {len(comparison.seeds)}", shown), formats)


def quantities(comparison: Comparison) -> dict[str, str]:
    """The accuracies, of every task and on average over satellites, and the names under which they are recorded."""
    return {task: f"{METRIC}{OF}{task}" for task in comparison.tasks} | {AVERAGE: METRIC}


def paired_difference(comparison: Comparison, one: str, other: str, quantity: str) -> FloatArray:
    """Final accuracy of one policy minus that of another on the same seed, in points, (seeds,)."""
    return 100 * (comparison.curves(one)[quantity][:, -1] - comparison.curves(other)[quantity][:, -1])


def difference_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Paired differences of the final accuracies in points, with 95 % intervals: one row per pair and quantity."""
    rows: list[dict[str, Any]] = []
    for one, other in DIFFERENCES:
        for of, quantity in quantities(comparison).items():
            gain = Estimate.of(paired_difference(comparison, one, other, quantity))
            row = {"policy": one, "minus": other, "of": of, "seeds": len(comparison.seeds)}
            rows.append(row | {"points": float(gain.mean), "points_ci95": float(gain.half_width)})
    return rows


def partitions(comparison: Comparison, policy: str) -> list[str]:
    """The clusters of tasks in the last round of every seed, written like `{Task1, Task2} {Task3}`.

    Tasks are together where all their satellites share a cluster.
    """
    outcomes = comparison.outcomes(policy)
    written = []
    for seed in range(len(comparison.seeds)):
        clusters: list[list[str]] = []
        for task in comparison.tasks:
            home = next((own for own in clusters if outcomes[f"together{OF}{own[0]}+{task}"][seed] == 1.0), None)
            if home is None:
                clusters.append([task])
            else:
                home.append(task)
        written.append(" ".join(f"{{{', '.join(own)}}}" for own in clusters))
    return written


def cluster_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Number of clusters and clusters of tasks in the last round: one row per policy and seed."""
    return [
        {"policy": policy, "seed": seed, "clusters": int(number), "partition": partition}
        for policy in comparison.policies
        for seed, number, partition in zip(
            comparison.seeds, comparison.outcomes(policy)["clusters"], partitions(comparison, policy), strict=True
        )
    ]


def rounds_to_reach(comparison: Comparison, policy: str) -> FloatArray:
    """Rounds until the average accuracy is that of unclustered after its last round, (seeds,); NaN where never."""
    target = comparison.curves(UNCLUSTERED)[METRIC][:, -1:]
    reached = comparison.curves(policy)[METRIC][:, 1:] >= target
    return np.where(reached.any(axis=1), 1.0 + reached.argmax(axis=1), np.nan)


def claims(comparison: Comparison) -> list[Claim]:
    """The claims of section IV and of the conclusion beside the results of the episodes."""
    return [
        *(_average_gain(comparison, other) for other in PAPERS_GAINS),
        *(_largest_gain(comparison, other) for other in PAPERS_GAINS),
        *(claim for task in _tasks_alone(comparison) for claim in _task_alone(comparison, task)),
        _clusters(comparison),
        _fewer_exchanges(comparison),
    ]


def _average_gain(comparison: Comparison, other: str) -> Claim:
    gain = Estimate.of(paired_difference(comparison, CLUSTERED, other, METRIC))
    return Claim(f"average: {CLUSTERED} above {other}", "above", _points(gain), gain.verdict())


def _largest_gain(comparison: Comparison, other: str) -> Claim:
    """The largest of the mean gains over the tasks and the average, after the last round."""
    gains = {
        of: Estimate.of(paired_difference(comparison, CLUSTERED, other, quantity))
        for of, quantity in quantities(comparison).items()
    }
    of, gain = max(gains.items(), key=lambda item: float(item[1].mean))
    papers = PAPERS_GAINS[other]
    average = float(gains[AVERAGE].mean)
    return Claim(
        f"largest gain over {other}",
        f"+{papers} points",
        f"{_points(gain)} ({of})",
        f"{float(gain.mean) - papers:+.1f} to the paper's; the average's is {average - papers:+.1f}",
    )


def _tasks_alone(comparison: Comparison) -> list[str]:
    """Tasks that share a cluster with no other on any seed."""
    apart = {name: not values.any() for name, values in comparison.outcomes(CLUSTERED).items() if "together" in name}
    return [
        task
        for task in comparison.tasks
        if all(
            apart[f"together{OF}{one}+{two}"] for one, two in combinations(comparison.tasks, 2) if task in (one, two)
        )
    ]


def _task_alone(comparison: Comparison, task: str) -> list[Claim]:
    loss = paired_difference(comparison, UNCLUSTERED, INDIVIDUAL, f"{METRIC}{OF}{task}")
    below = Estimate.of(-loss).verdict()
    clustered, individual = comparison.curves(CLUSTERED), comparison.curves(INDIVIDUAL)
    names = [name for name in clustered if name.endswith(f"{OF}{task}") and "together" not in name]
    equal = np.all([(clustered[name] == individual[name]).all(axis=1) for name in names], axis=0)
    number = len(comparison.seeds)
    return [
        Claim(f"{task}: {UNCLUSTERED} below {INDIVIDUAL}", "below", _points(Estimate.of(loss)), below),
        Claim(
            f"{task}: {CLUSTERED} equals {INDIVIDUAL}",
            "equal",
            f"bit for bit in every round: {equal.sum()} of {counted(number, 'seed')}",
            _yes(equal.all()),
        ),
    ]


def _clusters(comparison: Comparison) -> Claim:
    found = partitions(comparison, CLUSTERED)
    counts = ", ".join(f"{name}: {found.count(name)} of {counted(len(found), 'seed')}" for name in dict.fromkeys(found))
    expected = "{Task1, Task2} {Task3}"
    return Claim("clusters", f"2: {expected}", counts, _yes(set(found) == {expected}))


def _fewer_exchanges(comparison: Comparison) -> Claim:
    needed = {policy: rounds_to_reach(comparison, policy) for policy in comparison.policies}
    texts = [f"{policy} {_rounds(rounds)}" for policy, rounds in needed.items()]
    saved = Estimate.of(needed[UNCLUSTERED] - needed[CLUSTERED])
    claim = f"rounds to the final accuracy of {UNCLUSTERED}"
    return Claim(claim, "fewer exchanges", ", ".join(texts), saved.verdict())


def _rounds(needed: FloatArray) -> str:
    reached = needed[np.isfinite(needed)]
    if reached.size == 0:
        return "never"
    missed = f" ({counted(len(needed) - len(reached), 'seed')} never)" if len(reached) < len(needed) else ""
    return f"{reached.mean():.1f}{missed}"


def _points(estimate: Estimate) -> str:
    return f"{float(estimate.mean):+.2f} ± {float(estimate.half_width):.2f} points"


def _yes(holds: Any) -> str:
    return "yes" if holds else "no"
