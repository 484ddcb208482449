"""Which samples a satellite trains on and with which channel draws: the same in every engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.local import TrainingSettings
from satfl_env.federated.model import TrainableModel

# A block of epochs is drawn at once, since every draw costs a call; more samples than this would only take memory.
_BLOCK_SAMPLES = 512


class Block(NamedTuple):
    """Successive epochs of one satellite.

    Attributes:
        order: Its samples in the order of use, (epochs, n), C-contiguous; minibatches are consecutive pieces of a row.
        channel: Channel draw, row i for the i-th sample of the flattened order.
    """

    order: NDArray[np.int64]
    channel: Any


class Epoch(NamedTuple):
    """One epoch of one satellite.

    Attributes:
        order: Its samples in the order of use, (n,); minibatches are consecutive pieces.
        channel: Channel draw, row i for the i-th sample of the order.
    """

    order: Tensor
    channel: Any


class Work(NamedTuple):
    """How much satellites train in a round, each (A,).

    Attributes:
        samples: Samples of each.
        epochs: Its epochs.
        used: Samples that it goes through in an epoch.
        begun: Epochs of which the round trains at least a part: those that are drawn.
        batches: Minibatches in an epoch.
        steps: Minibatches in the round.
    """

    samples: NDArray[np.int64]
    epochs: NDArray[np.int64]
    used: NDArray[np.int64]
    begun: NDArray[np.int64]
    batches: NDArray[np.int64]
    steps: NDArray[np.int64]

    @classmethod
    def of(cls, samples: NDArray[np.int64], epochs: NDArray[np.int64], settings: TrainingSettings) -> Work:
        """The work of satellites with some samples, (A,), in a round of some epochs, (A,).

        Of the minibatches of all epochs it is the first `round_share`, and at least one where there is an epoch.
        """
        used = samples
        if settings.batches_per_epoch is not None:
            used = np.minimum(samples, settings.batches_per_epoch * settings.batch_size)
        batches = -(-used // settings.batch_size)
        whole = batches * epochs
        # A product that is an integer up to rounding is not rounded up.
        steps = np.maximum(np.ceil(whole * settings.round_share - 1e-9), whole > 0).astype(np.int64)
        return cls(samples, epochs, used, -(-steps // np.maximum(batches, 1)), batches, steps)

    def part(self, index: NDArray[np.int64] | slice) -> Work:
        """That of the satellites at some positions, in the order given."""
        return Work._make(each[index] for each in self)


def draw_blocks(model: TrainableModel, samples: int, used: int, epochs: int, seed: int) -> Iterator[Block]:
    """Draw a satellite's epochs, each a fresh shuffle of its samples cut to the first `used`, one block at a time.

    A block has as many epochs as make 512 samples, at least one: memory is bounded, however long a round is.
    """
    generator = torch.Generator().manual_seed(seed)
    for order in draw_orders(samples, used, epochs, generator):
        yield Block(order, model.draw_channel(order.size, generator))


def draw_orders(samples: int, used: int, epochs: int, generator: torch.Generator) -> Iterator[NDArray[np.int64]]:
    """The orders of the blocks of `draw_blocks`, whose channel the generator draws before the next one."""
    most = max(1, _BLOCK_SAMPLES // used)
    for first in range(0, epochs, most):
        # Random keys in order of size shuffle all epochs at once; NumPy sorts short rows in half the time of PyTorch.
        keys = torch.rand(min(most, epochs - first), samples, dtype=torch.float64, generator=generator)
        yield np.ascontiguousarray(keys.numpy().argsort(axis=1)[:, :used])


def draw_epochs(model: TrainableModel, samples: int, used: int, epochs: int, seed: int) -> Iterator[Epoch]:
    """The epochs of `draw_blocks` one by one."""
    for block in draw_blocks(model, samples, used, epochs, seed):
        parts = zip(*(part.split(used) for part in block.channel), strict=True)
        for order in torch.from_numpy(block.order):
            yield Epoch(order, type(block.channel)(*next(parts, ())))
