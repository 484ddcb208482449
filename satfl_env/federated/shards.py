"""Sharing the satellites of a round among workers."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from satfl_env.federated.local import TrainingSettings
from satfl_env.federated.trainer import Shard, TrainedRows


def samples_seen(shard: Shard, settings: TrainingSettings) -> NDArray[np.int64]:
    """Samples each satellite of a shard goes through in the round, (A,): what its training costs."""
    seen = shard.work.used * shard.work.epochs * settings.round_share
    return np.asarray(np.ceil(seen), dtype=np.int64)


def balance(cost: NDArray[np.int64], workers: int) -> list[NDArray[np.int64]]:
    """Positions of the costs (A,) that each worker takes, the costliest first to the least loaded worker.

    Each list is ascending and none is empty; there are min(A, workers) of them.
    """
    load = [(0, worker) for worker in range(min(len(cost), workers))]
    shares: list[list[int]] = [[] for _ in load]
    for index in np.argsort(-cost, kind="stable").tolist():
        loaded, worker = load[0]
        shares[worker].append(index)
        heapq.heapreplace(load, (loaded + int(cost[index]), worker))
    return [np.sort(np.array(share, dtype=np.int64)) for share in shares]


def join(parts: Sequence[NDArray[np.int64]], trained: Sequence[TrainedRows]) -> TrainedRows:
    """The whole shard again from its trained parts, each at its positions."""
    order = np.argsort(np.concatenate(parts))
    gradients = [part.mean_gradient for part in trained if part.mean_gradient is not None]
    return TrainedRows(
        torch.cat([part.rows for part in trained])[order],
        np.concatenate([part.last_loss for part in trained])[order],
        np.concatenate([part.usable for part in trained])[order],
        torch.cat(gradients)[order] if gradients else None,
    )
