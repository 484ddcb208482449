"""The data of a federation: training samples on board, and the common test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LocalData
from satfl_env.simulation.state import FloatArray

# Sums of weights in single precision.
_ROUNDING = 1e-4


@dataclass(frozen=True, eq=False)
class FederatedData:
    """Training data on board and the common test images.

    Attributes:
        train: Local data of all satellites.
        label_pmf: Label distribution of each satellite over the common alphabet, (S, A).
        test_images: Test images, (N, ...).
        test_targets: Test targets of each satellite, (S, N).
        test_weights: Weight of each test image in each satellite's test loss, (S, N); rows sum to 1.
        tasks: Name of the task each satellite serves, (S,); empty where all do the same.

    Raises:
        ValueError: If shapes do not fit together, a satellite has no sample, images are not finite float32 numbers, or
            weights do not sum to 1.
    """

    train: LocalData
    label_pmf: FloatArray
    test_images: Tensor
    test_targets: Tensor
    test_weights: Tensor
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        satellites, images = self.train.num_satellites, len(self.test_images)
        if not images:
            raise ValueError("test_images is empty; at least one is needed")
        if (self.train.samples < 1).any():
            raise ValueError(f"train has satellites without a sample: {np.flatnonzero(self.train.samples < 1)[:10]}")
        for name, shape, expected in (
            ("label_pmf", self.label_pmf.shape[:1], (satellites,)),
            ("test_targets", tuple(self.test_targets.shape), (satellites, images)),
            ("test_weights", tuple(self.test_weights.shape), (satellites, images)),
            ("tasks", (len(self.tasks) or satellites,), (satellites,)),
        ):
            if shape != expected:
                raise ValueError(f"{name} has shape {shape}; expected {expected}")
        _check_images("train.images", self.train.images)
        _check_images("test_images", self.test_images)
        if not (self.test_weights >= 0).all() or (self.test_weights.sum(dim=1) - 1).abs().max() > _ROUNDING:
            raise ValueError(f"test_weights must be >= 0 and sum to 1 in every row; got {self.test_weights.sum(dim=1)}")


def _check_images(name: str, images: Tensor) -> None:
    if images.dtype != torch.float32:
        raise ValueError(f"{name} must be of dtype torch.float32, got {images.dtype}")
    # A sum that is finite needs no look at each number; large numbers alone may make it infinite.
    if not images.sum().isfinite() and not images.isfinite().all():
        raise ValueError(f"{name} must be finite, got {images[~images.isfinite()][0].item()}")
