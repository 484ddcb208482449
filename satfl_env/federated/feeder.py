"""Minibatches of many satellites at once, drawn block by block so that memory holds one block of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.schedule import draw_epochs
from satfl_env.federated.trainer import Shard

# If all minibatches of a step are short, they are padded to a multiple of this, at which sums round alike.
_SAMPLES_AT_ONCE = 16


class StackedBatch(NamedTuple):
    """One step of the first A satellites; shorter minibatches are padded to B with copies of their last sample.

    It lives in buffers that the next step overwrites.

    Attributes:
        images: Shape (A, B, ...).
        targets: Shape (A, B).
        channel: Channel draw with leading shape (A, B).
        share: Share of each sample in its minibatch's mean, (A, B): 1/count, and 0 where padded.
    """

    images: Tensor
    targets: Tensor
    channel: Any
    share: Tensor


class Feeder:
    """Iterates over the steps of a round; satellites are sorted so that those still training come first.

    Args:
        model: Draws the channels.
        data: The data of all satellites.
        shard: The satellites that train.
        settings: How they train.
    """

    def __init__(
        self,
        model: TrainableModel,
        data: LocalData,
        shard: Shard,
        settings: TrainingSettings,
    ) -> None:
        """Lay out the minibatches; nothing is drawn yet."""
        satellites, work, seeds, _ = shard
        device = data.images.device
        self.data = data
        self.output_mask = None if data.output_mask is None else data.output_mask[satellites]
        self.used, self.batches, self.steps = work.used, work.batches, work.steps
        self._first_row = data.offsets[satellites].tolist()
        jobs = zip(*(each.tolist() for each in (work.samples, work.used, work.begun, seeds)), strict=True)
        self._epochs = [draw_epochs(model, *job) for job in jobs]
        self._longest = longest = int(self.used.max())
        place = np.arange(min(settings.batch_size, longest))
        first = np.arange(self.batches.max()) * len(place)
        self._count = np.clip(self.used[:, None] - first, 0, len(place))
        share = (place < self._count[..., None]) / np.maximum(self._count, 1)[..., None]
        sample = np.minimum(first[:, None] + place, self.used[:, None, None] - 1)
        slot = np.arange(len(satellites))[:, None, None] * longest + sample
        self._share = torch.from_numpy(share).to(data.images).flatten(0, 1)
        self._slot = torch.from_numpy(slot).to(device).flatten(0, 1)
        # The epoch each satellite is in, `longest` slots each: rows of the data, and what the channel does to them.
        self._row = torch.zeros(len(satellites) * longest, dtype=torch.int64, device=device)
        self._channel: Any = None
        # Memory is reused: fresh pages cost more than the copy itself.
        self._buffers: tuple[Tensor, ...] = ()

    def __iter__(self) -> Iterator[StackedBatch]:
        """One batch per step; the number of satellites in it never grows."""
        minibatches = self._count.shape[1]
        for step in range(int(self.steps[0])):
            active = int(np.count_nonzero(self.steps > step))
            minibatch = step % self.batches[:active]
            for index in np.flatnonzero(minibatch == 0).tolist():
                self._draw_epoch(index)
            yield self._gather(np.arange(active) * minibatches + minibatch)

    def last_epoch_share(self) -> NDArray[np.float64]:
        """Share of each step's loss in the mean over the last epoch's worth of steps, (steps, A)."""
        step = np.arange(self.steps[0])[:, None]
        last = (step >= self.steps - self.batches) & (step < self.steps)
        count = self._count[np.arange(len(self.steps)), step % self.batches]
        weight = np.where(last, count, 0.0)
        return np.asarray(weight / weight.sum(axis=0))

    def _draw_epoch(self, index: int) -> None:
        """Replace one satellite's epoch by its next one."""
        order, channel = next(self._epochs[index])
        if self._channel is None:
            self._channel = _empty_like(channel, len(self._row), self._row.device)
        first = index * self._longest
        last = first + len(order)
        self._row[first:last] = order + self._first_row[index]
        for store, part in zip(self._channel, channel, strict=True):
            store[first:last] = part

    def _gather(self, minibatch: NDArray[np.int64]) -> StackedBatch:
        """Collect one minibatch of each satellite, given by its row in the lay-out, (A,)."""
        chosen = torch.from_numpy(minibatch).to(self._slot.device)
        width = -(-int(self._count.flat[minibatch].max()) // _SAMPLES_AT_ONCE) * _SAMPLES_AT_ONCE
        share = self._share.index_select(0, chosen)[:, :width]
        slot = self._slot.index_select(0, chosen)[:, :width].flatten()
        row = self._row.index_select(0, slot)
        sources = ((self.data.images, row), (self.data.targets, row), *((part, slot) for part in self._channel))
        if not self._buffers:
            self._buffers = tuple(source.new_empty(len(slot), *source.shape[1:]) for source, _ in sources)
        images, targets, *channel = (
            torch.index_select(source, 0, index, out=buffer[: len(slot)]).view(*share.shape, *source.shape[1:])
            for (source, index), buffer in zip(sources, self._buffers, strict=True)
        )
        return StackedBatch(images, targets, type(self._channel)(*channel), share)


def _empty_like(channel: Any, count: int, device: torch.device) -> Any:
    """Uninitialised channel draws of `count` samples."""
    return type(channel)(*(part.new_empty(count, *part.shape[1:], device=device) for part in channel))
