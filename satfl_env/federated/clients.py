"""Local training by clients on the ground, whose models their satellite averages."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.local import LocalData, LocalTrainer, TrainingResult
from satfl_env.federated.objective import LocalObjective

# Apart as far as possible for any number of clients: 2^64 over the golden ratio.
_SEEDS_APART = np.uint64(0x9E3779B97F4A7C15)


class ClientTrainer:
    """Trains the clients of each satellite from the satellite's model; what it has trained is their mean by samples.

    A satellite's samples belong to its K clients in their order, as evenly as they can be divided. A satellite counts
    as diverged if one of its clients does.

    Args:
        trainer: Trains the clients.
        clients: Number of clients of each satellite, K.
    """

    def __init__(self, trainer: LocalTrainer, clients: int) -> None:
        self._trainer, self._clients = trainer, clients
        # Trainers may keep data on a device, so that the same data must stay the same object.
        self._data: tuple[LocalData, LocalData] | None = None

    def train(
        self,
        parameters: Tensor,
        data: LocalData,
        epochs: NDArray[np.int64],
        seeds: NDArray[np.uint64],
        objective: LocalObjective | None = None,
    ) -> TrainingResult:
        """See `LocalTrainer.train`."""
        apart, satellite = self._of_clients(data), np.arange(len(epochs)).repeat(self._clients)
        number = np.tile(np.arange(self._clients, dtype=np.uint64), len(epochs))
        result = self._trainer.train(
            parameters[torch.from_numpy(satellite)],
            apart,
            np.where(apart.samples > 0, epochs[satellite], 0),
            seeds[satellite] + number * _SEEDS_APART,
            None if objective is None else objective.part(satellite),
        )
        diverged = np.asarray(self._each(result.diverged).any(axis=1))
        trained = torch.from_numpy((epochs > 0) & (data.samples > 0) & ~diverged)
        share = self._each(apart.samples) / np.maximum(data.samples, 1)[:, None]

        def mean(values: Tensor) -> Tensor:
            weights = torch.from_numpy(share).to(values)
            return (weights[:, :, None] * values.reshape(*weights.shape, -1)).sum(dim=1)

        kept, last_loss = trained.numpy(), np.where(apart.samples > 0, result.last_loss, 0.0)
        gradient = result.mean_gradient
        return TrainingResult(
            parameters=torch.where(trained[:, None], mean(result.parameters), parameters),
            last_loss=np.where(kept, (share * self._each(last_loss)).sum(axis=1), np.nan),
            diverged=diverged,
            batches=self._each(result.batches).sum(axis=1),
            mean_gradient=None if gradient is None else mean(gradient) * trained[:, None],
        )

    def _each(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Values of all clients, (S K,), by satellite, (S, K)."""
        return values.reshape(-1, self._clients)

    def _of_clients(self, data: LocalData) -> LocalData:
        """The same samples, as those of S K clients."""
        if self._data is None or self._data[0] is not data:
            samples, number = data.samples[:, None], np.arange(self._clients)
            ends = data.offsets[:-1, None] + samples * (number + 1) // self._clients
            mask = data.output_mask
            apart = LocalData(
                data.images,
                data.targets,
                np.concatenate([[0], ends.reshape(-1)]),
                None if mask is None else mask.repeat_interleave(self._clients, dim=0),
            )
            self._data = data, apart
        return self._data[1]
