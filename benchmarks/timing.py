"""Timing on a machine with other load."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

_SHORT_S = 0.1


def duration_s(job: Callable[[], object]) -> float:
    """Seconds that a job takes once."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def medians(jobs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each job over some repeats, after one that warms up.

    The jobs take turns, so that other load on the machine affects all of them. A short job runs twice in its turn, and
    the second time counts: the first one finds caches and threads as the job before has left them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(repeats + 1):
        for name, job in jobs.items():
            took_s = duration_s(job)
            if took_s < _SHORT_S:
                took_s = duration_s(job)
            if repeat:
                seconds[name].append(took_s)
    return {name: statistics.median(values) for name, values in seconds.items()}
