"""The engine that shares the satellites among worker processes."""

from __future__ import annotations

from torch import Tensor

from satfl_env.federated.hardware import Hardware, available_cores
from satfl_env.federated.in_process import InProcessTrainer
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.pool import train_in_pool
from satfl_env.federated.shards import balance, samples_seen
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows


class ProcessTrainer(RowTrainer):
    """Trains a part of the satellites in each of several processes, in the form that suits the model.

    The processes belong to no trainer: the first round that needs them starts them, and they end with this process.
    The data move into shared memory at their first round.
    """

    needs_cpu = True

    def __init__(self, model: TrainableModel, settings: TrainingSettings, hardware: Hardware | None = None) -> None:
        """Keep the arguments for the workers."""
        super().__init__(model, settings, hardware)
        self._in_process = InProcessTrainer(model, settings, self.hardware)

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`.

        Raises:
            WorkerError: If a worker dies or fails; nothing of the round is used then.
        """
        return train_spread(self._in_process, self.hardware.workers or available_cores(), rows, data, shard)


def train_spread(trainer: RowTrainer, workers: int, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
    """Train a shard by `trainer` in the workers, each with about the same number of samples to go through."""
    positions = balance(samples_seen(shard, trainer.settings), workers)
    return train_in_pool(workers, trainer, data, rows, [(index, shard.part(index)) for index in positions])
