"""Pictures made up from random numbers, where no data set is at hand."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from satfl_env.scenarios import FederatedImages, Scenario

# As many as SemSpaceFL trains on, and as `semspacefl` tests on.
NUM_TRAIN, NUM_TEST, NUM_CLASSES = 2000, 60, 10


def synthetic(scenario: Scenario) -> FederatedImages:
    """Pictures of the scenario's size, split as it says; always the same ones."""
    data, generator = scenario.data, torch.Generator().manual_seed(0)
    assert data.image_size is not None
    train, test = (_labelled(clouds(count, data.image_size, generator).numpy()) for count in (NUM_TRAIN, NUM_TEST))
    return FederatedImages(train, test, partition=data.partition, test_samples=data.test_samples)


def clouds(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Colour pictures in [0, 1], (count, 3, side, side): random fields, of which finer ones count less.

    Each octave of detail has half the amplitude of the one before, as it is on average in photographs.
    """
    pictures = torch.zeros(count, 3, side, side)
    for octave in range(1, side.bit_length()):
        field = torch.rand(count, 3, 2**octave, 2**octave, generator=generator)
        pictures.add_(F.interpolate(field, (side, side), mode="bilinear", align_corners=True), alpha=0.5**octave)
    return pictures.clamp_(0, 1)


def _labelled(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return images, np.arange(len(images)) % NUM_CLASSES
