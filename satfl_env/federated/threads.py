"""Jobs shared among threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_in_threads(threads: int, function: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
    """The results of all jobs, in their order; a single thread is the caller's own."""
    if threads == 1:
        return list(map(function, jobs))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, jobs))


def at_once(jobs: Sequence[Callable[[], None]], release: Callable[[], None]) -> None:
    """Run jobs that wait for each other: the first in the caller's thread, once all others have one.

    Where one fails, or the caller is interrupted, `release` must end the waiting of the others.
    """
    first, *others = jobs
    if not others:
        first()
        return

    def run(job: Callable[[], None]) -> None:
        with _released(release):
            job()

    with ThreadPoolExecutor(len(others)) as pool:
        with _released(release):
            running = [pool.submit(run, other) for other in others]
            first()
        for each in running:
            each.result()


@contextmanager
def _released(release: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        release()
        raise
