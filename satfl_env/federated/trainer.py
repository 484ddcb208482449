"""What all engines share: check a round, leave out satellites that do not train, reset those that diverge."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.hardware import Hardware, model_on, thread_limit
from satfl_env.federated.kernel import CompiledTest
from satfl_env.federated.local import LocalData, TrainingResult, TrainingSettings
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.parameters import Layout
from satfl_env.federated.rows import put_rows
from satfl_env.federated.schedule import batches_per_round
from satfl_env.federated.usable import is_usable


class Shard(NamedTuple):
    """Some satellites and their work, by descending number of optimizer steps.

    Attributes:
        satellites: Which satellites, (A,).
        epochs: Their epochs, >= 1, (A,).
        seeds: Their seeds, (A,).
    """

    satellites: NDArray[np.int64]
    epochs: NDArray[np.int64]
    seeds: NDArray[np.uint64]

    def part(self, index: NDArray[np.int64]) -> Shard:
        """The satellites at some positions, in the order given."""
        return Shard(self.satellites[index], self.epochs[index], self.seeds[index])


class TrainedRows(NamedTuple):
    """A shard after training.

    Attributes:
        rows: Parameters, (A, P), on the device of those at the start.
        last_loss: Mean sample loss over the last epoch, (A,).
        usable: False where training broke off or the model is of no use; see `usable_models`, (A,).
    """

    rows: Tensor
    last_loss: NDArray[np.float64]
    usable: NDArray[np.bool_]


class RowTrainer(ABC):
    """A `LocalTrainer` that engines complete by `train_rows`.

    Args:
        model: Gives the computation; its own parameters are neither read nor changed.
        settings: How to train.
        hardware: Where to train.

    Attributes:
        mixes_precision: Whether the engine can compute in `bfloat16`.
        needs_cpu: Whether it trains on the CPU alone.
        shares_satellites: Whether its threads share the satellites, rather than the arithmetic of a minibatch.
    """

    mixes_precision: ClassVar[bool] = False
    needs_cpu: ClassVar[bool] = False
    shares_satellites: ClassVar[bool] = False

    def __init__(self, model: TrainableModel, settings: TrainingSettings, hardware: Hardware | None = None) -> None:
        """Keep the model and work out its layout."""
        self.settings = settings
        self.hardware = hardware or Hardware()
        self.model = model_on(self.hardware.device, model)
        self.layout = Layout.of(model)

    def train(
        self, parameters: Tensor, data: LocalData, epochs: NDArray[np.int64], seeds: NDArray[np.uint64]
    ) -> TrainingResult:
        """Train each satellite from its own row; see `LocalTrainer.train`."""
        _check_round(parameters, data, epochs, seeds, self.layout.num_parameters)
        trained = parameters.clone()
        last_loss = np.full(data.num_satellites, np.nan)
        diverged = np.zeros(data.num_satellites, dtype=np.bool_)
        batches = batches_per_round(data.samples, epochs, self.settings)
        busy = np.argsort(-batches, kind="stable")[: np.count_nonzero(batches)]
        if busy.size:
            start = parameters.index_select(0, torch.from_numpy(busy).to(parameters.device))
            rows, loss, usable = self.train_rows(start, data, Shard(busy, epochs[busy], seeds[busy]))
            kept = usable & is_usable(loss)
            put_rows(trained, busy[kept], rows if kept.all() else rows[kept])
            last_loss[busy[kept]] = loss[kept]
            diverged[busy] = ~kept
        return TrainingResult(trained, last_loss, diverged, batches)

    def compiled_test(self, rows: Tensor) -> CompiledTest | None:
        """Machine code that tests models with parameters of the type of `rows`; None where PyTorch tests them."""
        return None

    @abstractmethod
    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard, at least one, from `rows` (A, P), which may be overwritten."""

    def train_in_threads(self, threads: int, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """The same in a number of threads: here those of PyTorch."""
        with thread_limit(threads):
            return self.train_rows(rows, data, shard)


def _check_round(
    parameters: Tensor, data: LocalData, epochs: NDArray[np.int64], seeds: NDArray[np.uint64], num_parameters: int
) -> None:
    """Raise a ValueError if the arguments of `LocalTrainer.train` do not fit together."""
    satellites = data.num_satellites
    if parameters.shape != (satellites, num_parameters):
        raise ValueError(f"parameters has shape {tuple(parameters.shape)}; expected {(satellites, num_parameters)}")
    for name, values in (("epochs", epochs), ("seeds", seeds)):
        if values.shape != (satellites,):
            raise ValueError(f"{name} has shape {values.shape}; expected {(satellites,)}")
    if (epochs < 0).any():
        raise ValueError(f"epochs must be >= 0; got {epochs.tolist()}")
