"""Jobs that know nothing of each other, one after the other, in worker processes, or on a cluster of Ray."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

from satfl_baselines.qualified import qualified_name
from satfl_env.imports import to_install

Key = TypeVar("Key")
Result = TypeVar("Result")

WORKER_DIED = (
    "a process that played episodes died, often because memory ran out; the same command goes on from the finished "
    "ones, with fewer workers if need be"
)


class EngineName(StrEnum):
    """Where jobs are done."""

    PROCESSES = "processes"
    RAY = "ray"


class Engine(Protocol):
    """Does jobs, functions without arguments, and yields each key with its result as soon as that is there.

    The order is that in which jobs are finished. What a job raises ends everything.
    """

    def __call__(self, jobs: Mapping[Key, Callable[[], Result]], workers: int | None) -> Iterator[tuple[Key, Result]]:
        """Do the jobs, at most so many at once; None: as many as the engine does by itself."""


def on_this_machine(jobs: Mapping[Key, Callable[[], Result]], workers: int | None) -> Iterator[tuple[Key, Result]]:
    """In this process one after the other, or in several processes; by itself one.

    Raises:
        RuntimeError: If a worker dies.
    """
    if workers is None or workers == 1 or len(jobs) == 0:
        yield from ((key, job()) for key, job in jobs.items())
        return
    # Forking a process that has used PyTorch can hang, so workers start afresh.
    spawn = multiprocessing.get_context("spawn")
    theirs, ours = spawn.Pipe(duplex=False)
    with theirs, ours, ProcessPoolExecutor(min(workers, len(jobs)), spawn, _end_with, (theirs,)) as pool:
        try:
            pending = {pool.submit(job): key for key, job in jobs.items()}
            for finished in as_completed(pending):
                yield pending[finished], finished.result()
        except BaseException as error:
            ours.close()
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                raise RuntimeError(WORKER_DIED) from error
            raise


def on_ray(jobs: Mapping[Key, Callable[[], Result]], workers: int | None) -> Iterator[tuple[Key, Result]]:
    """Each as a task of one core on the cluster that `RAY_ADDRESS` names, else on this machine.

    By itself as many at once as the cluster has cores. Ray ends its tasks with this process, and starts those of a
    machine that is lost again elsewhere.

    Raises:
        ImportError: If Ray is not installed.
        RuntimeError: If a task is lost for good.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError(f"the engine 'ray' needs Ray: {to_install('ray')}") from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
    task = ray.remote(num_cpus=1)(_called)
    waiting = list(jobs.items())[::-1]
    pending: dict[Any, Key] = {}
    most = len(jobs) if workers is None else workers
    try:
        while waiting or pending:
            while waiting and len(pending) < most:
                key, job = waiting.pop()
                pending[task.remote(job)] = key
            (done, *_), _ = ray.wait(list(pending))
            yield pending.pop(done), ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise RuntimeError(f"{WORKER_DIED}: {error}") from error
    finally:
        for left in pending:
            ray.cancel(left, force=True)


ENGINES: Mapping[str, Engine] = {EngineName.PROCESSES: on_this_machine, EngineName.RAY: on_ray}


def require_picklable(kind: str, brought: Mapping[str, Any]) -> None:
    """Raise `ValueError` if something of the user's cannot be sent to other processes."""
    for name, value in brought.items():
        try:
            pickle.dumps(value)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{kind} {name!r} ({qualified_name(value)}) cannot be pickled for worker processes: {error}; "
                "define it at the top of a module, or play in this process, with one worker and without a cluster"
            ) from error


def _called(job: Callable[[], Result]) -> Result:
    return job()


def _end_with(parent: Connection) -> None:
    """End this worker at once when the parent closes its end of the pipe, or is gone: it may be killed."""

    def wait() -> None:
        parent.poll(None)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
