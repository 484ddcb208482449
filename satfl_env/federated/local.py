"""The interface of local training: data, settings, results, and what every engine must do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import pydantic.dataclasses
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.objective import LocalObjective
from satfl_env.settings import STRICT, Count, Positive, Share


@dataclass(frozen=True, eq=False)
class LocalData:
    """Training data of all satellites, one after the other.

    Attributes:
        images: Shape (N, ...); satellite s owns rows offsets[s] to offsets[s + 1] - 1.
        targets: Shape (N,), int64.
        offsets: Shape (S + 1,), int64, from 0 to N.
        output_mask: Which classes each satellite's decoder has, bool (S, C); None where all decoders are equal.

    Raises:
        ValueError: If the shapes do not fit together.
    """

    images: Tensor
    targets: Tensor
    offsets: NDArray[np.int64]
    output_mask: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        total = len(self.images)
        if len(self.targets) != total:
            raise ValueError(f"targets has {len(self.targets)} rows; images has {total}")
        steps = np.diff(self.offsets)
        if self.offsets[0] != 0 or self.offsets[-1] != total or (steps < 0).any():
            raise ValueError(f"offsets must rise from 0 to the {total} rows of images; got {self.offsets.tolist()}")
        if self.output_mask is not None and len(self.output_mask) != len(steps):
            raise ValueError(f"output_mask has {len(self.output_mask)} rows; there are {len(steps)} satellites")

    @classmethod
    def concatenate(
        cls, images: Sequence[Tensor], targets: Sequence[Tensor], output_mask: Tensor | None = None
    ) -> LocalData:
        """Local data from one tensor of images and one of targets per satellite."""
        offsets = np.cumsum([0, *map(len, images)], dtype=np.int64)
        return cls(torch.cat(list(images)), torch.cat(list(targets)), offsets, output_mask)

    def of(self, satellite: int) -> LocalData:
        """The data of one satellite alone."""
        first, last = self.offsets[satellite : satellite + 2].tolist()
        mask = None if self.output_mask is None else self.output_mask[satellite : satellite + 1]
        return LocalData(self.images[first:last], self.targets[first:last], np.array([0, last - first]), mask)

    @property
    def num_satellites(self) -> int:
        """Number of satellites S."""
        return len(self.offsets) - 1

    @cached_property
    def samples(self) -> NDArray[np.int64]:
        """Samples of each satellite, (S,)."""
        return np.diff(self.offsets).astype(np.int64)


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class TrainingSettings:
    """How a satellite trains; the optimizer starts afresh every round.

    Attributes:
        batch_size: Samples in a minibatch; the last one of an epoch may be smaller.
        learning_rate: Step size.
        optimizer: `adam` (usual constants) or `sgd` (no momentum).
        batches_per_epoch: Most real minibatches that stand for a simulated epoch; None means all.
        round_share: Share of the minibatches of all of a round's epochs that is really trained, from the first on, in
            (0, 1].

    Raises:
        ValueError: If a value is out of its range.
    """

    batch_size: Count = 16
    learning_rate: Positive = 2e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    batches_per_epoch: Count | None = None
    round_share: Share = 1.0


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """The results of local training.

    Attributes:
        parameters: A new tensor, (S, P); a satellite that did not train or diverged keeps its row.
        last_loss: Mean sample loss over the last epoch, (S,); NaN for satellites that did not train or diverged.
        diverged: Satellites whose loss or parameters became NaN, infinite or larger than 1e12, or whose trained model
            gives such a loss, bool (S,).
        batches: Optimizer steps of each satellite, int64 (S,).
        mean_gradient: Mean gradient of the minibatches' losses at the parameters of each step, (S, n), zeros where
            `parameters` keeps its row; None without an objective beside the loss.
    """

    parameters: Tensor
    last_loss: NDArray[np.float64]
    diverged: NDArray[np.bool_]
    batches: NDArray[np.int64]
    mean_gradient: Tensor | None = None


class LocalTrainer(Protocol):
    r"""Trains all satellites for one round (SemSpaceFL, eq. 1). Every engine gives the same result up to rounding.

    $$\mathbf{w} \leftarrow \mathbf{w} - \eta \nabla L(\mathbf{w})$$

    In float32 rounding can decide on which side of zero the input of a ReLU falls, and Adam passes such a change on at
    the size of its step: long runs of large models agree to 1e-5 in float64 only.
    """

    def train(
        self,
        parameters: Tensor,
        data: LocalData,
        epochs: NDArray[np.int64],
        seeds: NDArray[np.uint64],
        objective: LocalObjective | None = None,
    ) -> TrainingResult:
        """Train each satellite from its own row.

        Args:
            parameters: Where the satellites start, (S, P), in the order of the model's `Layout`; left as it is.
            data: Their data.
            epochs: Local epochs of each, >= 0, (S,).
            seeds: Seed of each satellite's batches and channel noise, (S,).
            objective: What they minimise beside their loss; None means nothing. Reported losses are without it, and
                its gradient enters that which the optimizer gets.

        Raises:
            ValueError: If shapes do not fit or an epoch count is negative.
        """
