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


def samples_per_epoch(samples: NDArray[np.int64], settings: TrainingSettings) -> NDArray[np.int64]:
    """Samples each satellite uses in one epoch, (S,)."""
    if settings.batches_per_epoch is None:
        return samples
    return np.minimum(samples, settings.batches_per_epoch * settings.batch_size)


def batches_per_epoch(samples: NDArray[np.int64], settings: TrainingSettings) -> NDArray[np.int64]:
    """Minibatches of each satellite in one epoch, (S,)."""
    return -(-samples_per_epoch(samples, settings) // settings.batch_size)


def batches_per_round(
    samples: NDArray[np.int64], epochs: NDArray[np.int64], settings: TrainingSettings
) -> NDArray[np.int64]:
    """Minibatches of each satellite in one round, (S,): the first `round_share` of those of all its epochs.

    At least one where there is an epoch, however small the share.
    """
    batches = batches_per_epoch(samples, settings) * epochs
    # A product that is an integer up to rounding is not rounded up.
    trained = np.ceil(batches * settings.round_share - 1e-9)
    return np.asarray(np.maximum(trained, batches > 0), dtype=np.int64)


def epochs_begun(
    samples: NDArray[np.int64], epochs: NDArray[np.int64], settings: TrainingSettings
) -> NDArray[np.int64]:
    """Epochs of each satellite of which a round trains at least a part, (S,): those that are drawn."""
    per_epoch = np.maximum(batches_per_epoch(samples, settings), 1)
    return -(-batches_per_round(samples, epochs, settings) // per_epoch)


def draw_blocks(model: TrainableModel, samples: int, used: int, epochs: int, seed: int) -> Iterator[Block]:
    """Draw a satellite's epochs, each a fresh shuffle of its samples cut to the first `used`, one block at a time.

    A block has as many epochs as make 512 samples, at least one: memory is bounded, however long a round is.
    """
    generator = torch.Generator().manual_seed(seed)
    most = max(1, _BLOCK_SAMPLES // used)
    for first in range(0, epochs, most):
        count = min(most, epochs - first)
        # Random keys in order of size shuffle all epochs at once; NumPy sorts short rows in half the time of PyTorch.
        keys = torch.rand(count, samples, dtype=torch.float64, generator=generator)
        order = np.ascontiguousarray(keys.numpy().argsort(axis=1)[:, :used])
        yield Block(order, model.draw_channel(count * used, generator))


def draw_epochs(model: TrainableModel, samples: int, used: int, epochs: int, seed: int) -> Iterator[Epoch]:
    """The epochs of `draw_blocks` one by one."""
    for block in draw_blocks(model, samples, used, epochs, seed):
        parts = zip(*(part.split(used) for part in block.channel), strict=True)
        for order in torch.from_numpy(block.order):
            yield Epoch(order, type(block.channel)(*next(parts, ())))
