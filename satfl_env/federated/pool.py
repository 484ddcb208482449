"""Worker processes that live from round to round and train shards of satellites."""

from __future__ import annotations

import atexit
import ctypes
import os
import pickle
import sys
from collections.abc import Sequence
from multiprocessing import current_process
from multiprocessing.reduction import ForkingPickler
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.multiprocessing  # teaches ForkingPickler to share tensors
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.local import LocalData
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows
from satfl_env.federated.workers import WorkerError, Workers, packed

# Last loss, whether the model is of use, and the mean gradient if there is an objective, one per satellite.
_Answer = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[Any] | None]

_LOST = "the round is lost, nothing of it was used, and the next one starts new workers"
_KEPT_BYTES = 32 * 2**20  # the most that every glibc takes as its threshold
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


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
        self._workers = Workers([packed("a trainee", _Trainee)] * workers, name="satfl-worker", lost=_LOST)
        self._rows = torch.empty(0)
        self._known: list[tuple[object, object, object]] = [(None, None, None)] * workers

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return self._workers.pids

    def train(
        self, trainer: RowTrainer, data: LocalData, rows: Tensor, parts: Sequence[tuple[NDArray[np.int64], Shard]]
    ) -> TrainedRows:
        """Train one part per worker, each given by its positions in `rows` (A, P), which are overwritten.

        Raises:
            WorkerError: If a worker dies or its training raises. The pool is of no use after any exception.
        """
        self._share(data, rows)
        answers = self._workers.ask(
            {worker: self._order(worker, trainer, data, *part) for worker, part in enumerate(parts)}
        )
        last_loss, usable = np.empty(len(rows)), np.empty(len(rows), dtype=np.bool_)
        objective = parts[0][1].objective
        gradient = None if objective is None else rows.new_empty(len(rows), objective.shift.shape[1])
        for worker, (positions, _) in enumerate(parts):
            value, failure = answers[worker]
            if failure:
                raise WorkerError(f"training failed in {self._workers.name(worker)}:\n{failure.trace}")
            last_loss[positions], usable[positions], own = value
            if gradient is not None:
                gradient[positions] = torch.from_numpy(own)
        return TrainedRows(rows.copy_(self._rows), last_loss, usable, gradient)

    def close(self) -> None:
        """End the processes."""
        self._workers.close()

    def _share(self, data: LocalData, rows: Tensor) -> None:
        """Put the data, once, and the parameters into shared memory."""
        for part in (data.images, data.targets, data.output_mask):
            if part is not None:
                part.share_memory_()
        if self._rows.shape != rows.shape or self._rows.dtype != rows.dtype:
            self._rows = torch.empty_like(rows).share_memory_()
        self._rows.copy_(rows)

    def _order(
        self, worker: int, trainer: RowTrainer, data: LocalData, positions: NDArray[np.int64], shard: Shard
    ) -> bytes:
        """An order as bytes; tensors in it stay in shared memory."""
        known_trainer, known_data, known_rows = self._known[worker]
        self._known[worker] = (trainer, data, self._rows)
        order = _Order(
            # Pickled separately, since the other pickling would move the model into shared memory.
            None if trainer is known_trainer else packed("the model and its training", trainer),
            None if data is known_data else data,
            None if self._rows is known_rows else self._rows,
            positions,
            shard,
        )
        return bytes(ForkingPickler.dumps(order))


_pools: dict[int, WorkerPool] = {}
_training = Lock()  # threads share the pools, but no conversation


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
    with _training:
        if workers not in _pools:
            _pools[workers] = WorkerPool(workers)
        try:
            return _pools[workers].train(trainer, data, rows, parts)
        except BaseException:
            _pools.pop(workers).close()
            raise


@atexit.register
def close_pools() -> None:
    """End all workers of this process."""
    while _pools:
        _pools.popitem()[1].close()


def _forget_pools() -> None:
    """A fork inherits the pipes but must not talk through them, nor wait for a thread that it does not have."""
    global _training
    _pools.clear()
    _training = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)


class _Trainee:
    """Follows orders in a worker, with what the last ones brought."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        _keep_memory()
        self._trainer: RowTrainer
        self._data: LocalData
        self._rows: Tensor

    def __call__(self, packed_order: bytes) -> _Answer:
        """Train one part in place."""
        order: _Order = pickle.loads(packed_order)
        if order.trainer is not None:
            self._trainer = pickle.loads(order.trainer)
        if order.data is not None:
            self._data = order.data
        if order.rows is not None:
            self._rows = order.rows
        trained = self._trainer.train_rows(self._rows[order.positions], self._data, order.shard)
        self._rows[order.positions] = trained.rows
        gradient = trained.mean_gradient
        return trained.last_loss, trained.usable, None if gradient is None else gradient.numpy()


def _keep_memory() -> None:
    """Have glibc keep freed blocks: fetching fresh pages for every minibatch costs up to a quarter of the time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 8 * _KEPT_BYTES)
