"""The engine of small models: one satellite after the other, by machine code."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.hardware import Hardware, data_on, one_blas_thread
from satfl_env.federated.kernel import CompiledTest, channel_arrays, load_kernel, load_test
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import HasKernel, Kernel, TrainableModel, has_evaluation_kernel, has_kernel
from satfl_env.federated.schedule import (
    batches_per_epoch,
    batches_per_round,
    draw_blocks,
    epochs_begun,
    samples_per_epoch,
)
from satfl_env.federated.threads import map_in_threads
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows
from satfl_env.federated.usable import LARGEST_USABLE, TRIED, is_usable, trial_channel


class _Job(NamedTuple):
    """The round of one satellite.

    Attributes:
        row: Its parameters, (P,), trained in place.
        images: Its samples, (n, pixels).
        targets: Their classes, (n,).
        output_mask: Classes that exist, (C,), or empty.
        used: Samples in an epoch.
        epochs: Epochs that are begun.
        batches: Minibatches in an epoch.
        steps: Minibatches in all.
        seed: Seed of its draws.
    """

    row: NDArray[Any]
    images: NDArray[Any]
    targets: NDArray[np.int64]
    output_mask: NDArray[np.bool_]
    used: int
    epochs: int
    batches: int
    steps: int
    seed: int


class _Outcome(NamedTuple):
    """What training a satellite gave.

    Attributes:
        last_loss: Mean loss over the last epoch.
        total_loss: Sum of the losses of all samples that it went through.
        trial_loss: The trained model's loss in its trial; see `_trial_loss`.
        largest: Largest size of a parameter, NaN if one is NaN.
    """

    last_loss: float
    total_loss: float
    trial_loss: float
    largest: float


class CompiledTrainer(RowTrainer):
    """Trains satellite after satellite, all minibatches of a block of epochs in one call of the model's kernel.

    `Hardware.workers` threads share the satellites, one by default. What a satellite learns does not depend on the
    others or on the threads, bit for bit.

    Raises:
        ValueError: If the model has no kernel.
    """

    needs_cpu = True
    shares_satellites = True

    def __init__(self, model: TrainableModel, settings: TrainingSettings, hardware: Hardware | None = None) -> None:
        """Keep the arguments; the first round loads the kernel."""
        super().__init__(model, settings, hardware)
        if not has_kernel(model):
            raise ValueError(
                f"engine must not be 'compiled' for {type(model).__name__}, which has no kernel; all others are allowed"
            )
        self._with_kernel: HasKernel = model
        self._with_test = model if has_evaluation_kernel(model) else None

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`.

        Raises:
            KernelError: If this machine has no kernel; nothing has changed then.
        """
        return self.train_in_threads(self.hardware.workers or 1, rows, data, shard)

    def train_in_threads(self, threads: int, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """The same in a number of threads that share the satellites."""
        kernel = self.kernel(rows)
        trained = rows.cpu().contiguous()
        flat = trained.numpy()
        trial = channel_arrays(trial_channel(self.model), flat.dtype)

        def train(job: _Job) -> _Outcome:
            # While its parameters are in the processor's cache.
            return _Outcome(*self._train(kernel, job), _trial_loss(kernel, job, trial), np.abs(job.row).max())

        with one_blas_thread():
            outcomes = map_in_threads(threads, train, self._jobs(flat, data_on("cpu", data), shard))
        last, total, tried, largest = map(np.array, zip(*outcomes, strict=True))
        usable = np.isfinite(total) & is_usable(tried) & is_usable(largest)
        return TrainedRows(trained.to(rows.device), last, usable)

    def kernel(self, rows: Tensor) -> Kernel:
        """The model's kernel for parameters of the type of `rows`.

        Raises:
            KernelError: If this machine has none.
        """
        return load_kernel(self._with_kernel, rows.dtype)

    def compiled_test(self, rows: Tensor) -> CompiledTest | None:
        """See `RowTrainer.compiled_test`.

        Raises:
            KernelError: If this machine has no kernel.
        """
        return load_test(self._with_test, rows.dtype, self.hardware.workers or 1) if self._with_test else None

    def _jobs(self, rows: NDArray[Any], data: LocalData, shard: Shard) -> Iterator[_Job]:
        """The rounds of the satellites of a shard, in its order."""
        satellites, epochs, seeds = shard
        samples = data.samples[satellites]
        counts = (
            samples_per_epoch(samples, self.settings),
            epochs_begun(samples, epochs, self.settings),
            batches_per_epoch(samples, self.settings),
            batches_per_round(samples, epochs, self.settings),
            seeds,
        )
        images = np.ascontiguousarray(data.images.flatten(1).numpy(), rows.dtype)
        targets = np.ascontiguousarray(data.targets.numpy(), np.int64)
        masks = np.empty((len(rows), 0), np.bool_)
        if data.output_mask is not None:
            masks = np.ascontiguousarray(data.output_mask.numpy()[satellites])
        own = [
            slice(first, last)
            for first, last in zip(data.offsets[satellites], data.offsets[satellites + 1], strict=True)
        ]
        return starmap(
            _Job,
            zip(
                rows,
                [images[part] for part in own],
                [targets[part] for part in own],
                masks,
                *(count.tolist() for count in counts),
                strict=True,
            ),
        )

    def _train(self, kernel: Kernel, job: _Job) -> tuple[float, float]:
        """Train one satellite: its mean loss over the last epoch, and the sum over all samples that it went through."""
        losses = np.empty(job.steps)
        moments = np.zeros((2, len(job.row)), job.row.dtype)
        step = 0
        for order, channel in draw_blocks(self.model, len(job.targets), job.used, job.epochs, job.seed):
            block_losses = losses[step : step + len(order) * job.batches]
            kernel(
                job.row,
                moments,
                step,
                job.images,
                job.targets,
                job.output_mask,
                order,
                channel_arrays(channel, job.row.dtype),
                self.settings.batch_size,
                self.settings.learning_rate,
                self.settings.optimizer == "adam",
                block_losses,
            )
            step += len(block_losses)
        last_samples = min(job.steps * self.settings.batch_size, job.used)
        return losses[-job.batches :].sum() / last_samples, losses.sum()


def _trial_loss(kernel: Kernel, job: _Job, channel: tuple[NDArray[Any], ...]) -> float:
    """Largest of a trained model's losses on the first samples of its satellite, or a usable sum of them.

    See `usable_models`. Losses are not negative: where their sum is usable, so is each of them.
    """
    order = np.arange(TRIED)[None] % len(job.targets)

    def largest(size: int) -> float:
        """Largest loss of minibatches of that size, with a learning rate of 0."""
        row, moments, losses = job.row.copy(), job.row[:0].reshape(2, 0), np.empty(TRIED // size)
        kernel(row, moments, 0, job.images, job.targets, job.output_mask, order, channel, size, 0.0, False, losses)
        return float(losses.max())

    together = largest(TRIED)
    return together if together <= LARGEST_USABLE else largest(1)
