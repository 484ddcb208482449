"""The engine of small models: one satellite after the other, by machine code."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.halves import Halves, pays_in_pairs
from satfl_env.federated.hardware import Hardware, data_on, one_blas_thread
from satfl_env.federated.kernel import CompiledTest, channel_arrays, load_kernel, load_test
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import HasKernel, Kernel, TrainableModel, has_evaluation_kernel, has_kernel
from satfl_env.federated.objective import LocalObjective
from satfl_env.federated.schedule import Work, draw_orders
from satfl_env.federated.threads import at_once, map_in_threads
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows
from satfl_env.federated.usable import LARGEST_USABLE, TRIED, is_usable, trial_channel

# A call of the kernel costs as much as a minibatch, and parameters and draws of more satellites leave the cache.
_AT_ONCE = 32
# Groups for each thread, so that none is left with a long one at the end.
_GROUPS_PER_THREAD = 4


class _Samples(NamedTuple):
    """The samples of all satellites.

    Attributes:
        images: Shape (N, pixels).
        targets: Their classes, (N,).
    """

    images: NDArray[Any]
    targets: NDArray[np.int64]


class _Group(NamedTuple):
    """The rounds of some satellites.

    Attributes:
        rows: Their parameters, (A, P), trained in place.
        output_mask: Classes that exist, (A, C), or (A, 0) where all do.
        first: First of each one's samples, (A,).
        work: How much they train.
        seeds: Seed of its draws, (A,).
        terms: Start, shift and sum of gradients where there is an objective beside the loss, (A, 3, n), else n = 0.
    """

    rows: NDArray[Any]
    output_mask: NDArray[np.bool_]
    first: NDArray[np.int64]
    work: Work
    seeds: NDArray[np.uint64]
    terms: NDArray[Any]

    def split(self, size: int) -> list[_Group]:
        """These satellites in groups of a size."""
        parts = (slice(at, at + size) for at in range(0, len(self.rows), size))
        return [
            _Group(
                self.rows[part],
                self.output_mask[part],
                self.first[part],
                self.work.part(part),
                self.seeds[part],
                self.terms[part],
            )
            for part in parts
        ]


class _Progress(NamedTuple):
    """What changes as some satellites train, and where that ends; see `Kernel`."""

    rows: NDArray[Any]
    moments: NDArray[Any]
    terms: NDArray[Any]
    done: NDArray[np.int64]
    steps: NDArray[np.int64]
    losses: NDArray[np.float64]

    @classmethod
    def begun(cls, group: _Group, rows: NDArray[Any], terms: NDArray[Any]) -> _Progress:
        """Before the first step of a group, from its own rows and terms or copies of them."""
        count, num_parameters = rows.shape
        moments, losses = np.zeros((count, 2, num_parameters), rows.dtype), np.zeros((count, group.work.steps.max()))
        return cls(rows, moments, terms, np.zeros(count, np.int64), group.work.steps, losses)


class _Outcome(NamedTuple):
    """What training some satellites gave, each (A,).

    Attributes:
        last_loss: Mean loss over the last epoch.
        total_loss: Sum of the losses of all samples that it went through.
        trial_loss: The trained model's loss in its trial; see `_trial_losses`.
        largest: Largest size of a parameter, NaN if one is NaN.
    """

    last_loss: NDArray[np.float64]
    total_loss: NDArray[np.float64]
    trial_loss: NDArray[np.float64]
    largest: NDArray[Any]


class CompiledTrainer(RowTrainer):
    """Trains satellite after satellite by the model's kernel, a block of epochs of some of them in one call.

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
        everyone, samples = self._arrays(trained.numpy(), data_on("cpu", data), shard)
        objective = shard.objective
        proximal_mu = 0.0 if objective is None else objective.proximal_mu

        in_pairs = pays_in_pairs(everyone.work.steps, self._largest_batch(everyone), everyone.rows.shape[1], threads)
        if in_pairs:
            threads //= 2

        def train(group: _Group) -> _Outcome:
            # The trial may have the largest minibatch.
            both = Halves.both(max(TRIED, self._largest_batch(group)), group.rows.shape[1], group.rows.dtype)
            losses = self._train(kernel, group, samples, proximal_mu, both.split() if in_pairs else [both])
            return _Outcome(
                self._last_loss(group, losses),
                losses.sum(axis=1),
                _trial_losses(kernel, group, samples, self._trial, both),
                np.abs(group.rows).max(axis=1),
            )

        with one_blas_thread():
            outcomes = map_in_threads(threads, train, everyone.split(_group_size(len(rows), threads)))
        last, total, tried, largest = map(np.concatenate, zip(*outcomes, strict=True))
        usable = np.isfinite(total) & is_usable(tried) & is_usable(largest)
        mean_gradient = None
        if objective is not None:
            steps = everyone.work.steps.astype(everyone.rows.dtype)
            mean_gradient = torch.from_numpy(everyone.terms[:, 2] / steps[:, None])
        return TrainedRows(trained.to(rows.device), last, usable, mean_gradient)

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

    @cached_property
    def _trial(self) -> tuple[NDArray[Any], ...]:
        """The channel draws of the trials of as many satellites as there may be in a group."""
        return tuple(np.concatenate([part.numpy()] * _AT_ONCE) for part in trial_channel(self.model))

    def _arrays(self, rows: NDArray[Any], data: LocalData, shard: Shard) -> tuple[_Group, _Samples]:
        """The rounds of the satellites of a shard, in its order, and the samples of all."""
        satellites, work, seeds, objective = shard
        mask = np.empty((len(rows), 0), np.bool_)
        if data.output_mask is not None:
            mask = np.ascontiguousarray(data.output_mask.numpy()[satellites])
        group = _Group(rows, mask, data.offsets[satellites], work, seeds, _terms(objective, rows))
        images = np.ascontiguousarray(data.images.flatten(1).numpy(), rows.dtype)
        return group, _Samples(images, np.ascontiguousarray(data.targets.numpy(), np.int64))

    def _train(
        self, kernel: Kernel, group: _Group, samples: _Samples, proximal_mu: float, halves: list[Halves]
    ) -> NDArray[np.float64]:
        """Train some satellites, each half of a minibatch in a thread of its own if they are two.

        Returns:
            The sum of the losses of each step, and zeros after the last, (A, most steps).
        """
        progress = _Progress.begun(group, group.rows, group.terms)
        learners = [progress, *(_Progress.begun(group, group.rows.copy(), group.terms.copy()) for _ in halves[1:])]

        def train(learner: _Progress, own: Halves, which: Any, order: Any, ends: Any, channel: Any) -> None:
            kernel(
                *learner,
                *samples,
                group.output_mask,
                group.work.used,
                which,
                order,
                ends,
                channel,
                self.settings.batch_size,
                self.settings.learning_rate,
                self.settings.optimizer == "adam",
                proximal_mu,
                own,
            )

        generators = [torch.Generator().manual_seed(seed) for seed in group.seeds.tolist()]
        work = (each.tolist() for each in (group.work.samples, group.work.used, group.work.begun))
        orders = [draw_orders(*each) for each in zip(*work, generators, strict=True)]
        while (which := np.flatnonzero(progress.done < progress.steps)).size:
            blocks = [next(orders[index]).ravel() for index in which]
            counts = list(map(len, blocks))
            channel = self._with_kernel.draw_channels(counts, [generators[index] for index in which])
            order = np.concatenate(blocks) + group.first[which].repeat(counts)
            block = which, order, np.cumsum(counts), channel_arrays(channel, group.rows.dtype)
            at_once([partial(train, *each, *block) for each in zip(learners, halves, strict=True)], halves[0].release)
        for other in learners[1:]:
            progress.losses[:] += other.losses
        return progress.losses

    def _largest_batch(self, group: _Group) -> int:
        return min(self.settings.batch_size, int(group.work.used.max()))

    def _last_loss(self, group: _Group, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean loss of each satellite over its last epoch, (A,)."""
        work = group.work
        counts = zip(work.steps.tolist(), work.batches.tolist(), strict=True)
        totals = [
            own[max(0, steps - batches) : steps].sum() for own, (steps, batches) in zip(losses, counts, strict=True)
        ]
        return np.array(totals) / np.minimum(work.steps * self.settings.batch_size, work.used)


def _terms(objective: LocalObjective | None, rows: NDArray[Any]) -> NDArray[Any]:
    """Start, shift and an empty sum of gradients of rows (A, P) under an objective, (A, 3, n); n is 0 without one."""
    if objective is None:
        return np.empty((len(rows), 3, 0), rows.dtype)
    shift = objective.shift.cpu().numpy()
    return np.stack([rows[:, : shift.shape[1]], shift, np.zeros_like(shift)], axis=1).astype(rows.dtype, copy=False)


def _trial_losses(
    kernel: Kernel, group: _Group, samples: _Samples, trial: tuple[NDArray[Any], ...], halves: Halves
) -> NDArray[np.float64]:
    """Largest of each trained model's losses on the first samples of its satellite, or a usable sum of them, (A,).

    See `usable_models`. Losses are not negative: where their sum is usable, so is each of them.
    """
    count = len(group.rows)
    order = (group.first[:, None] + np.arange(TRIED) % group.work.samples[:, None]).ravel()
    everyone, tried = np.arange(count), np.full(count, TRIED)
    channel = tuple(part[: order.size].astype(group.rows.dtype, copy=False) for part in trial)

    def largest(size: int) -> NDArray[np.float64]:
        """Largest loss of minibatches of that size, with a learning rate of 0."""
        losses = np.zeros((count, TRIED // size))
        kernel(
            group.rows.copy(),
            np.empty((count, 2, 0), group.rows.dtype),
            np.empty((count, 3, 0), group.rows.dtype),
            np.zeros(count, np.int64),
            tried // size,
            losses,
            *samples,
            group.output_mask,
            tried,
            everyone,
            order,
            TRIED * (everyone + 1),
            channel,
            size,
            0.0,
            False,
            0.0,
            halves,
        )
        return np.asarray(losses.max(axis=1))

    together = largest(TRIED)
    usable = together <= LARGEST_USABLE
    return together if usable.all() else np.where(usable, together, largest(1))


def _group_size(satellites: int, threads: int) -> int:
    if threads == 1:
        return _AT_ONCE
    return min(_AT_ONCE, max(1, satellites // (threads * _GROUPS_PER_THREAD)))
