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
from satfl_env.federated.objective import LocalObjective
from satfl_env.federated.parameters import Layout
from satfl_env.federated.rows import put_rows, take_rows
from satfl_env.federated.schedule import Work
from satfl_env.federated.usable import is_usable


class Shard(NamedTuple):
    """Some satellites and their work, by descending number of optimizer steps.

    Attributes:
        satellites: Which satellites, (A,).
        work: How much they train, at least one step each.
        seeds: Their seeds, (A,).
        objective: What they minimise beside their loss; None means nothing.
    """

    satellites: NDArray[np.int64]
    work: Work
    seeds: NDArray[np.uint64]
    objective: LocalObjective | None = None

    def part(self, index: NDArray[np.int64]) -> Shard:
        """The satellites at some positions, in the order given."""
        objective = None if self.objective is None else self.objective.part(index)
        return Shard(self.satellites[index], self.work.part(index), self.seeds[index], objective)


class TrainedRows(NamedTuple):
    """A shard after training.

    Attributes:
        rows: Parameters, (A, P), on the device of those at the start.
        last_loss: Mean sample loss over the last epoch, (A,).
        usable: False where training broke off or the model is of no use; see `usable_models`, (A,).
        mean_gradient: Mean gradient of the losses over all steps, (A, n), on any device; None without an objective.
    """

    rows: Tensor
    last_loss: NDArray[np.float64]
    usable: NDArray[np.bool_]
    mean_gradient: Tensor | None = None


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
        self,
        parameters: Tensor,
        data: LocalData,
        epochs: NDArray[np.int64],
        seeds: NDArray[np.uint64],
        objective: LocalObjective | None = None,
    ) -> TrainingResult:
        """Train each satellite from its own row; see `LocalTrainer.train`."""
        _check_round(parameters, data, epochs, seeds, self.layout.num_parameters)
        _check_objective(objective, parameters)
        work = Work.of(data.samples, epochs, self.settings)
        busy = (-work.steps).argsort(kind="stable")[: np.count_nonzero(work.steps)]
        # Threads of PyTorch that have copied rows spin for a while, on cores that others are to train on.
        with thread_limit(1):
            trained = parameters.clone()
        last_loss = np.full(data.num_satellites, np.nan)
        diverged = np.zeros(data.num_satellites, dtype=np.bool_)
        mean_gradient = None if objective is None else torch.zeros_like(objective.shift)
        if busy.size:
            start = take_rows(parameters, busy)
            shard = Shard(np.arange(data.num_satellites), work, seeds, objective).part(busy)
            rows, loss, usable, gradient = self.train_rows(start, data, shard)
            kept = usable & is_usable(loss)
            if gradient is not None:
                kept &= is_usable(gradient.cpu().numpy()).all(axis=1)
            done = busy[kept]
            put_rows(trained, done, rows if len(done) == len(rows) else rows[kept])
            last_loss[done] = loss[kept]
            diverged[busy] = ~kept
            if mean_gradient is not None and gradient is not None:
                mean_gradient[done] = gradient.to(mean_gradient)[kept]
        return TrainingResult(trained, last_loss, diverged, work.steps, mean_gradient)

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


def _check_objective(objective: LocalObjective | None, parameters: Tensor) -> None:
    """Raise a ValueError if an objective does not fit parameters (S, P)."""
    if objective is None:
        return
    satellites, most = parameters.shape
    shape = tuple(objective.shift.shape)
    if len(shape) != 2 or shape[0] != satellites or shape[1] > most:
        raise ValueError(f"objective.shift has shape {shape}; expected ({satellites}, at most {most})")
    if not objective.proximal_mu >= 0:
        raise ValueError(f"objective.proximal_mu must be >= 0; got {objective.proximal_mu}")
