"""Jobs shared among threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_threads(threads: int, function: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
    """The results of all jobs, in their order; a single thread is the caller's own."""
    if threads == 1:
        return list(map(function, jobs))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, jobs))


def at_once(job: Callable[[], None], *others: Callable[[], None]) -> None:
    """Run jobs that wait for each other: the first in the caller's thread, once all others have one."""
    if not others:
        job()
        return
    with ThreadPoolExecutor(len(others)) as pool:
        running = [pool.submit(other) for other in others]
        job()
        for each in running:
            each.result()
