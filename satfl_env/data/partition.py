"""Which samples each satellite holds.

Every partitioner returns one int64 index array for each satellite and draws only from the generator it is given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from satfl_env.counted import counted
from satfl_env.data.images import IntArray
from satfl_env.data.tasks import Task, task_labels

MAX_REDRAWS = 10_000


def equal_split(num_samples: int, num_satellites: int, rng: np.random.Generator) -> list[IntArray]:
    """Deal out all samples at random; sizes differ by at most one, every sample is used once.

    Raises:
        ValueError: fewer samples than satellites, or no satellite.
    """
    _check_enough(num_samples, num_satellites, min_size=1)
    return np.array_split(rng.permutation(num_samples), num_satellites)


def count_split(num_samples: int, counts: Sequence[int], rng: np.random.Generator) -> list[IntArray]:
    """Give satellite s `counts[s]` samples at random; no sample is used twice.

    Raises:
        ValueError: no count, a negative count, or more samples than there are.
    """
    if min(counts, default=-1) < 0 or sum(counts) > num_samples:
        raise ValueError(
            f"counts: {list(counts)} must be one number >= 0 for each satellite, "
            f"in sum at most the {num_samples} samples there are"
        )
    return np.split(rng.permutation(num_samples)[: sum(counts)], np.cumsum(counts)[:-1])


def dirichlet_split(
    labels: IntArray, num_satellites: int, *, alpha: float, rng: np.random.Generator, min_size: int = 1
) -> list[IntArray]:
    """Split each class over the satellites in proportions drawn from a symmetric Dirichlet distribution.

    Every sample is used once. The draw is repeated until each satellite holds `min_size` samples.

    Args:
        labels: int64 (N,).
        num_satellites: S.
        alpha: concentration > 0: 0.1 leaves most of a class to one or two satellites, 10 is nearly even.
        rng: generator of the proportions and of who gets which sample.
        min_size: samples that every satellite gets at least.

    Raises:
        ValueError: `alpha` not positive, too few samples, or `min_size` out of reach with this `alpha`.
    """
    if not alpha > 0:
        raise ValueError(f"alpha: {alpha} is not positive")
    _check_enough(len(labels), num_satellites, min_size)
    counts = np.unique(labels, return_counts=True)[1]
    for _ in range(MAX_REDRAWS):
        proportions = rng.dirichlet(np.full(num_satellites, alpha), size=len(counts))
        cuts = np.rint(proportions.cumsum(axis=1)[:, :-1] * counts[:, None]).astype(np.int64)
        sizes = np.diff(cuts, axis=1, prepend=0, append=counts[:, None]).sum(axis=0)
        if sizes.min() >= min_size:
            return _deal_classes(labels, cuts, rng)
    raise ValueError(
        f"{counted(min_size, 'sample')} for each of {num_satellites} satellites never came about in "
        f"{MAX_REDRAWS} draws with alpha {alpha}; ask for fewer, or take a larger alpha"
    )


def _deal_classes(labels: IntArray, cuts: IntArray, rng: np.random.Generator) -> list[IntArray]:
    shares = [
        np.split(rng.permutation(np.flatnonzero(labels == label)), class_cuts)
        for label, class_cuts in zip(np.unique(labels), cuts, strict=True)
    ]
    return [np.concatenate(parts) for parts in zip(*shares, strict=True)]


def draw_task_samples(
    labels: IntArray,
    tasks: Sequence[Task],
    *,
    sizes: Sequence[int],
    positive_shares: Sequence[float],
    rng: np.random.Generator,
) -> list[IntArray]:
    """Draw each satellite's samples for its task with a given share of positives; satellites may overlap.

    Positives are spread evenly over the task's classes (the first ones get what is left over); the rest is drawn
    from all other labels. No sample comes twice inside a satellite; the order is random.

    Args:
        labels: int64 (N,) in the numbering of the image set.
        tasks: the task of each satellite, length S.
        sizes: samples of each satellite, length S.
        positive_shares: share of samples that belong to the task's classes, length S, in [0, 1].
        rng: generator of all draws.

    Raises:
        ValueError: lengths differ, a size is not positive, a share is outside [0, 1], or a class has too few samples.
    """
    if not len(tasks) == len(sizes) == len(positive_shares):
        raise ValueError(
            f"tasks, sizes, positive_shares: lengths {len(tasks)}, {len(sizes)}, {len(positive_shares)} "
            "differ, one entry for each satellite is needed"
        )
    # Satellites of one task draw from the same samples.
    pools = {task: _pools(labels, task) for task in set(tasks)}
    return [
        _draw_for_task(pools[task], task, size, share, rng)
        for task, size, share in zip(tasks, sizes, positive_shares, strict=True)
    ]


def _pools(labels: IntArray, task: Task) -> list[IntArray]:
    """The samples of each class of a task, and at the end all others."""
    letters = task_labels(task, labels)
    return [np.flatnonzero(letters == letter) for letter in range(task.num_outputs)]


def _draw_for_task(
    pools: Sequence[IntArray], task: Task, size: int, share: float, rng: np.random.Generator
) -> IntArray:
    if size < 1:
        raise ValueError(f"sizes: {size} of task {task.name!r} is not positive")
    if not 0 <= share <= 1:
        raise ValueError(f"positive_shares: {share} of task {task.name!r} is not between 0 and 1")
    num_positives = round(share * size)
    each, left_over = divmod(num_positives, len(task.classes))
    wanted = [each + (position < left_over) for position in range(len(task.classes))]
    drawn = [
        _draw(pool, count, f"label {label} of task {task.name!r}", rng)
        for pool, label, count in zip(pools[:-1], task.classes, wanted, strict=True)
    ]
    drawn.append(_draw(pools[-1], size - num_positives, f"labels outside task {task.name!r}", rng))
    return rng.permutation(np.concatenate(drawn))


def _draw(pool: IntArray, count: int, what: str, rng: np.random.Generator) -> IntArray:
    if count > len(pool):
        raise ValueError(f"sizes: {counted(count, 'sample')} wanted with {what}, only {len(pool)} there")
    return rng.choice(pool, count, replace=False)


def _check_enough(num_samples: int, num_satellites: int, min_size: int) -> None:
    if num_satellites < 1:
        raise ValueError(f"num_satellites: {num_satellites} is not positive")
    if num_satellites * min_size > num_samples:
        samples, satellites = counted(num_samples, "sample"), counted(num_satellites, "satellite")
        raise ValueError(f"{samples} cannot give {satellites} at least {min_size} each")
