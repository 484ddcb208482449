"""The engine that picks one for each round."""

from __future__ import annotations

from multiprocessing import current_process

import torch
from torch import Tensor

from satfl_env.federated.hardware import Hardware, thread_limit
from satfl_env.federated.in_process import InProcessTrainer
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import HasStackedGradient, SemanticModel
from satfl_env.federated.processes import train_spread
from satfl_env.federated.schedule import batches_per_round
from satfl_env.federated.shards import samples_seen
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows

# A round that takes fewer operations is over before workers pay back their messages.
_PROCESSES_FLOPS = 200e6
# What a minibatch costs besides the arithmetic of its forward pass, in operations that take as long.
_MINIBATCH_FLOPS = 500e3
# A forward pass of a minibatch with more operations keeps all threads busy by itself where the gradient is in closed
# form; processes would each have whole satellites to do, and few of those rarely divide evenly.
_THREADED_FLOPS = 16e6


class AutoTrainer(RowTrainer):
    """Trains in this process or in several, stacked or one by one, by a fixed rule: equal runs choose alike.

    Where `Hardware.workers`, or without it PyTorch's number of threads, allows more than one core of the CPU, threads
    share the products of large fully connected links, and processes the satellites of other rounds of some size.
    Everything else is trained here: on one core what is too small to share.
    """

    def __init__(self, model: SemanticModel, settings: TrainingSettings, hardware: Hardware | None = None) -> None:
        """Keep the engines to pick from."""
        super().__init__(model, settings, hardware)
        self._in_process = InProcessTrainer(model, settings, self.hardware)

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`."""
        workers = self._workers()
        if workers == 1:
            return self._in_process.train_rows(rows, data, shard)
        threaded = self._fills_threads(data)
        if not threaded and len(rows) > 1 and self._round_flops(data, shard) >= _PROCESSES_FLOPS:
            return train_spread(self._in_process, workers, rows, data, shard)
        with thread_limit(workers if threaded else 1):
            return self._in_process.train_rows(rows, data, shard)

    def _workers(self) -> int:
        """Processes that may train; 1 where there can be no others: on a GPU, or inside somebody else's worker."""
        if self.hardware.device != "cpu" or current_process().daemon:
            return 1
        return self.hardware.workers or torch.get_num_threads()

    def _fills_threads(self, data: LocalData) -> bool:
        """Whether a single minibatch has work for all threads."""
        minibatch_flops = self._in_process.flops(data) * self.settings.batch_size
        return isinstance(self.model, HasStackedGradient) and minibatch_flops >= _THREADED_FLOPS

    def _round_flops(self, data: LocalData, shard: Shard) -> float:
        """What the forward passes of the round cost, in operations."""
        minibatches = batches_per_round(data.samples[shard.satellites], shard.epochs, self.settings).sum()
        samples = samples_seen(data, shard, self.settings).sum()
        return float(self._in_process.flops(data) * samples + _MINIBATCH_FLOPS * minibatches)
