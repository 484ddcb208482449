"""The engine that picks one for each round."""

from __future__ import annotations

from multiprocessing import current_process

import torch
from torch import Tensor

from satfl_env.federated.hardware import Hardware
from satfl_env.federated.in_process import InProcessTrainer
from satfl_env.federated.kernel import CompiledTest
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.processes import train_spread
from satfl_env.federated.shards import samples_seen
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows

# In a round whose forward passes take fewer operations, messages to workers cost more than they save.
_PROCESSES_FLOPS = 1e9
# Threads cost more than they save where the forward passes of a minibatch take fewer operations; and, with a kernel,
# those of a satellite's round.
_THREADS_FLOPS = 16e6


class AutoTrainer(RowTrainer):
    """Trains in this process or in several, stacked or one by one, by a fixed rule: equal runs choose alike.

    If `Hardware.workers`, or without it PyTorch's number of threads, allows more than one CPU core, that many threads
    share the satellites of a model with a kernel, or that many processes the large rounds of another. Everything else
    is trained in this process: large minibatches by that many threads, small ones by one.
    """

    mixes_precision = True

    def __init__(self, model: TrainableModel, settings: TrainingSettings, hardware: Hardware | None = None) -> None:
        """Keep the engines to pick from."""
        super().__init__(model, settings, hardware)
        self._in_process = InProcessTrainer(model, settings, self.hardware)

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`."""
        workers = self._workers()
        if workers == 1:
            return self._in_process.train_rows(rows, data, shard)
        chosen, flops = self._in_process.chosen(rows, data), self._in_process.flops(data)
        round_flops = flops * int(samples_seen(shard, self.settings).sum())
        if not chosen.shares_satellites and len(rows) > 1 and round_flops >= _PROCESSES_FLOPS:
            return train_spread(self._in_process, workers, rows, data, shard)
        piece_flops = round_flops / len(rows) if chosen.shares_satellites else flops * self.settings.batch_size
        return chosen.train_in_threads(workers if piece_flops >= _THREADS_FLOPS else 1, rows, data, shard)

    def compiled_test(self, rows: Tensor) -> CompiledTest | None:
        """That of the engines in this process, in as many threads as may train."""
        test = self._in_process.compiled_test(rows)
        return None if test is None else test._replace(threads=self._workers())

    def _workers(self) -> int:
        """Number of processes or threads that may train: 1 on a GPU, or inside a worker."""
        if self.hardware.device != "cpu" or current_process().daemon:
            return 1
        return self.hardware.workers or torch.get_num_threads()
