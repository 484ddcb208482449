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


def draw_epochs(model: TrainableModel, samples: int, used: int, epochs: int, seed: int) -> Iterator[Epoch]:
    """Draw a satellite's epochs one at a time, each a fresh shuffle of its samples cut to the first `used`."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(samples, generator=generator)[:used]
        yield Epoch(order, model.draw_channel(used, generator))
