"""Worker processes that live from round to round and train shards of satellites."""

from __future__ import annotations

import atexit
import ctypes
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Sequence
from multiprocessing import connection, current_process
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import cloudpickle
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import multiprocessing as mp

from satfl_env.federated.local import LocalData
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows

# Last loss and whether it is finite, one per satellite.
_Answer = tuple[NDArray[np.float64], NDArray[np.bool_]]

_LOST = "the round is lost, nothing of it was used, and the next one starts new workers"
_KEPT_BYTES = 32 * 2**20  # the most that every glibc takes as its threshold
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


class WorkerError(RuntimeError):
    """A worker process failed or died; its round is lost and nothing of it was used."""


class _Order(NamedTuple):
    """An order to a worker; None means the same as in its last order."""

    trainer: bytes | None
    data: LocalData | None
    rows: Tensor | None
    positions: NDArray[np.int64]
    shard: Shard


class WorkerPool:
    """Some worker processes of one thread each; data and parameters reach them through shared memory.

    Args:
        workers: Number of processes.

    Raises:
        RuntimeError: In a daemon process, which may not start others.
    """

    def __init__(self, workers: int) -> None:
        """Start the processes; they end with this one."""
        if current_process().daemon:
            raise RuntimeError(
                "a daemon process cannot start workers; use the engine 'auto', 'stacked' or 'loop' in it"
            )
        context = mp.get_context("spawn")
        self._pipes: list[connection.Connection] = []
        self._processes = []
        for number in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), name=f"satfl-worker-{number}", daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        self._rows = torch.empty(0)
        self._known: list[tuple[object, object, object]] = [(None, None, None)] * workers

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid or 0 for process in self._processes]

    def train(
        self, trainer: RowTrainer, data: LocalData, rows: Tensor, parts: Sequence[tuple[NDArray[np.int64], Shard]]
    ) -> TrainedRows:
        """Train one part per worker, each given by its positions in `rows` (A, P), which are overwritten.

        Raises:
            WorkerError: If a worker dies or its training raises. The pool is of no use after any exception.
        """
        self._share(data, rows)
        for worker, (positions, shard) in enumerate(parts):
            self._send(worker, trainer, data, positions, shard)
        answers = self._collect(len(parts))
        last_loss, finite = np.empty(len(rows)), np.empty(len(rows), dtype=np.bool_)
        for worker, (positions, _) in enumerate(parts):
            last_loss[positions], finite[positions] = answers[worker]
        return TrainedRows(rows.copy_(self._rows), last_loss, finite)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            process.join()
            pipe.close()

    def _share(self, data: LocalData, rows: Tensor) -> None:
        """Put the data, once, and the parameters into shared memory."""
        for part in (data.images, data.targets, data.output_mask):
            if part is not None:
                part.share_memory_()
        if self._rows.shape != rows.shape or self._rows.dtype != rows.dtype:
            self._rows = torch.empty_like(rows).share_memory_()
        self._rows.copy_(rows)

    def _send(
        self, worker: int, trainer: RowTrainer, data: LocalData, positions: NDArray[np.int64], shard: Shard
    ) -> None:
        known_trainer, known_data, known_rows = self._known[worker]
        self._known[worker] = (trainer, data, self._rows)
        order = _Order(
            # Pickled separately, since the pipe's own pickling would move the model into shared memory.
            None if trainer is known_trainer else cloudpickle.dumps(trainer),
            None if data is known_data else data,
            None if self._rows is known_rows else self._rows,
            positions,
            shard,
        )
        try:
            self._pipes[worker].send(order)
        except OSError as error:
            raise dead_worker(self._processes[worker], _LOST) from error

    def _collect(self, count: int) -> dict[int, _Answer]:
        """One answer from each of the first workers, in the order they come."""
        answers: dict[int, _Answer] = {}
        waiting = {pipe: worker for worker, pipe in enumerate(self._pipes[:count])}
        while waiting:
            for ready in connection.wait(list(waiting)):
                assert isinstance(ready, connection.Connection)
                worker = waiting.pop(ready)
                try:
                    answer = ready.recv()
                except (EOFError, OSError) as error:
                    raise dead_worker(self._processes[worker], _LOST) from error
                if isinstance(answer, str):
                    raise WorkerError(f"training failed in {self._processes[worker].name}:\n{answer}")
                answers[worker] = answer
        return answers


def dead_worker(process: BaseProcess, lost: str) -> WorkerError:
    """The error for a worker process that died; `lost` says what was lost with it."""
    process.join(timeout=5.0)
    return WorkerError(
        f"{process.name} (pid {process.pid}) died with exit code {process.exitcode}; {lost}. Exit code -9 often means "
        "that memory ran out; where a worker dies as soon as a script needs it, the script lacks "
        '`if __name__ == "__main__":`'
    )


_pools: dict[int, WorkerPool] = {}


def train_in_pool(
    workers: int,
    trainer: RowTrainer,
    data: LocalData,
    rows: Tensor,
    parts: Sequence[tuple[NDArray[np.int64], Shard]],
) -> TrainedRows:
    """`WorkerPool.train` in this process's pool of that many workers, started at its first use.

    All trainers share it, so that several environments do not multiply the processes. After an exception it is ended,
    and the next round starts a new one.
    """
    if workers not in _pools:
        _pools[workers] = WorkerPool(workers)
    try:
        return _pools[workers].train(trainer, data, rows, parts)
    except BaseException:
        # After an interrupt, too: an answer still on its way would be taken for that of the next round.
        _pools.pop(workers).close()
        raise


@atexit.register
def close_pools() -> None:
    """End all workers of this process."""
    while _pools:
        _pools.popitem()[1].close()


if hasattr(os, "register_at_fork"):
    # A fork inherits the pipes but must not talk through them.
    os.register_at_fork(after_in_child=_pools.clear)


def _work(pipe: connection.Connection) -> None:
    """Follow orders until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent takes the interrupt and ends the workers
    torch.set_num_threads(1)
    _keep_memory()
    trainer: RowTrainer | None = None
    data: LocalData | None = None
    rows: Tensor | None = None
    while True:
        try:
            order: _Order = pipe.recv()
            trainer = trainer if order.trainer is None else pickle.loads(order.trainer)
            data = data if order.data is None else order.data
            rows = rows if order.rows is None else order.rows
            assert trainer is not None
            assert data is not None
            assert rows is not None
            pipe.send(_follow(trainer, data, rows, order))
        except (EOFError, OSError):
            return


def _follow(trainer: RowTrainer, data: LocalData, rows: Tensor, order: _Order) -> _Answer | str:
    """Train one part in place; returns the answer, or the traceback of an error."""
    try:
        trained = trainer.train_rows(rows[order.positions], data, order.shard)
    except Exception:
        return traceback.format_exc()
    rows[order.positions] = trained.rows
    return trained.last_loss, trained.finite


def _keep_memory() -> None:
    """Have glibc keep freed blocks: fetching fresh pages for every minibatch costs up to a quarter of the time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 8 * _KEPT_BYTES)
