"""The fast engine: many satellites as one batched job."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.feeder import Feeder
from satfl_env.federated.gradients import gradient_of
from satfl_env.federated.hardware import data_on
from satfl_env.federated.local import LocalData
from satfl_env.federated.objective import Guide
from satfl_env.federated.row_optimizer import row_optimizer
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows
from satfl_env.federated.usable import usable_models

# On a CPU a job larger than the cache waits for memory: satellites train in groups that touch about this much per step.
_CACHE_BYTES = 64 * 2**20
# Elsewhere memory bounds the image values of a step: in the largest Swin transformer each of them takes some 6 kB.
_DEVICE_VALUES = 2**23
# Numbers that one processor instruction handles, at most.
_VECTOR_WIDTH = 16


class StackedTrainer(RowTrainer):
    """Trains satellites together, each with its own samples, epochs and decoder size.

    Satellites are sorted by their number of steps: those still training are the first rows of the parameters and of the
    optimizer's state, so that finished ones are simply left out.
    """

    mixes_precision = True

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`."""
        data = data_on(self.hardware.device, data)
        last_loss = np.empty(len(rows))
        finite = np.empty(len(rows), dtype=np.bool_)
        gradients: list[Tensor] = []
        for group in self._groups(len(rows), data):
            part = shard.part(group)
            feeder = Feeder(self.model, data, part, self.settings)
            flat = _padded(rows[group].to(self.hardware.device))
            guide = None if part.objective is None else Guide(part.objective, flat)
            losses = self._train_group(flat, feeder, guide)
            if guide is not None:
                gradients.append(guide.mean_gradient(feeder.steps))
            rows[group] = flat[:, : self.layout.num_parameters].to(rows.device)
            finite[group] = np.isfinite(losses).all(axis=0)
            last_loss[group] = (losses * feeder.last_epoch_share()).sum(axis=0)
        usable = usable_models(self.model, self.layout, rows, data, shard.satellites)
        return TrainedRows(rows, last_loss, usable & finite, torch.cat(gradients) if gradients else None)

    def _groups(self, count: int, data: LocalData) -> list[NDArray[np.int64]]:
        """Consecutive groups of nearly equal size that fit the cache, or the memory of a device."""
        batch = self.settings.batch_size * data.images[0].numel()
        # Parameters, gradient and two moments; a minibatch is read and written.
        values = 4 * self.layout.num_parameters + 2 * batch
        on_cpu = data.images.device.type == "cpu"
        size = _CACHE_BYTES // (values * data.images.element_size()) if on_cpu else _DEVICE_VALUES // batch
        return np.array_split(np.arange(count), -(-count // max(1, size)))

    @torch.no_grad()
    def _train_group(self, flat: Tensor, feeder: Feeder, guide: Guide | None) -> NDArray[np.float64]:
        """Train the sorted, padded rows `flat` in place; returns the loss of every step, (steps, A)."""
        optimizer = row_optimizer(flat, self.settings)
        losses = flat.new_zeros(int(feeder.steps[0]), len(flat))
        step_losses = iter(losses)
        for active, batches in groupby(feeder, key=lambda batch: len(batch.targets)):
            rows = flat[:active]
            mask = None if feeder.output_mask is None else feeder.output_mask[:active]
            gradient_at = gradient_of(self.model, self.layout, rows, mask, self.hardware.precision)
            for batch in batches:
                sample_loss, gradient = gradient_at(batch)
                optimizer.update(rows, gradient if guide is None else guide.guided(rows, gradient))
                torch.sum(sample_loss * batch.share, 1, out=next(step_losses)[:active])
        return losses.double().cpu().numpy()


def _padded(rows: Tensor) -> Tensor:
    """Rows (A, P), with columns of zeros up to whole vectors.

    A processor rounds the numbers left over at the end of an array differently. With whole vectors, the training of a
    satellite does not depend on the others, bit for bit.
    """
    return torch.nn.functional.pad(rows, (0, -rows.shape[1] % _VECTOR_WIDTH))
