"""The interface of models in federated learning; the semantic models satisfy it without importing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from satfl_env.federated.halves import Halves


class HasParameters(Protocol):
    """Anything with named parameters, such as an `nn.Module`."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters."""


class TrainableModel(HasParameters, Protocol):
    """A link from images over a channel to outputs. A channel draw is a named tuple of tensors, one row per sample."""

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all parameters anew."""

    def draw_channel(self, count: int, generator: torch.Generator, *, snr_db: float | None = None) -> Any:
        """Draw the channel of `count` samples, at the model's own SNR unless another is given."""

    def __call__(self, images: Tensor, draw: Any) -> Tensor:
        """Outputs (B, ...) of the model's own parameters."""

    def stacked_forward(self, parameters: Mapping[str, Tensor], images: Tensor, draw: Any) -> Tensor:
        """Outputs (S, B, ...) for S sets of parameters, each (S, ...)."""

    def sample_loss(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> Tensor:
        """Loss of each sample, (*, B)."""

    def metrics(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Test metrics by name, each (*,)."""


@runtime_checkable
class HasStackedGradient(Protocol):
    """A model that computes the gradient of its stacked form without automatic differentiation."""

    def stacked_gradient(
        self,
        parameters: Mapping[str, Tensor],
        images: Tensor,
        draw: Any,
        targets: Tensor,
        output_mask: Tensor | None,
        share: Tensor,
        gradient: Mapping[str, Tensor],
    ) -> Tensor:
        """Sample losses (S, B); writes the gradient of their `share`-weighted sum into `gradient`.

        The gradient of a parameter that the model does not use is left as it is, which is 0. Short minibatches are
        padded at the end of their row, where the share is 0; losses there are not read.
        """


class Kernel(Protocol):
    """Trains some satellites through the minibatches of successive epochs, in one call and without the interpreter."""

    def __call__(
        self,
        rows: NDArray[Any],
        moments: NDArray[Any],
        terms: NDArray[Any],
        done: NDArray[np.int64],
        steps: NDArray[np.int64],
        losses: NDArray[np.float64],
        images: NDArray[Any],
        targets: NDArray[np.int64],
        output_mask: NDArray[np.bool_],
        used: NDArray[np.int64],
        which: NDArray[np.int64],
        order: NDArray[np.int64],
        ends: NDArray[np.int64],
        channel: tuple[NDArray[Any], ...],
        batch_size: int,
        learning_rate: float,
        adam: bool,
        proximal_mu: float,
        halves: Halves,
    ) -> None:
        """Go through one block of epochs of B out of A satellites; the first six arguments change in place.

        Arrays are C-contiguous, and numbers of the type of the parameters unless said otherwise.

        Args:
            rows: Parameters, (A, P).
            moments: Adam's moments, (A, 2, P); plain gradient descent reads none.
            terms: What a `LocalObjective` adds to the loss, over the first n parameters, (A, 3, n): parameters at the
                start, constant shift of the gradient, and the sum of the losses' gradients so far. It is empty, n = 0,
                where nothing is added.
            done: Steps that each has made, (A,).
            steps: Steps after which each stops, (A,).
            losses: Sum of the sample losses of each step, which is added to, (A, most steps).
            images: The samples of all satellites, flattened, (N, pixels).
            targets: Class indices, (N,).
            output_mask: Which classes exist, (A, C), or (A, 0) where all do.
            used: Samples of each satellite in an epoch, (A,).
            which: The satellites to be trained, (B,).
            order: Rows of `images` in the order of use, the blocks of these satellites one after the other.
            ends: Where each block ends in `order`, (B,).
            channel: The parts of a channel draw, row i for the i-th sample of `order`.
            batch_size: Samples in a minibatch; the last one of an epoch may be smaller.
            learning_rate: Step size.
            adam: Whether to use Adam with PyTorch's default constants, rather than plain gradient descent.
            proximal_mu: Weight of the proximal term.
            halves: Which minibatches go in two halves, and which of these this call computes. No kernel may ignore it:
                another call may compute the other half, and the `losses` of both are added.

        Raises:
            ValueError: If a shape does not fit the model.
            IndexError: If a target is no class.
        """


class EvaluationKernel(Protocol):
    """Tests some models, each on the targets of a satellite, in one call and without the interpreter."""

    def __call__(
        self,
        rows: NDArray[Any],
        satellites: NDArray[np.int64],
        images: NDArray[Any],
        targets: NDArray[np.int64],
        weights: NDArray[Any],
        output_mask: NDArray[np.bool_],
        channel: tuple[NDArray[Any], ...],
        results: NDArray[np.float64],
    ) -> None:
        """Write what a test gives; arrays are C-contiguous, and numbers of the type of the parameters.

        Args:
            rows: Parameters, (D, P).
            satellites: The satellite of each row, (D,).
            images: The test images that all have in common, flattened, (N, pixels).
            targets: Class indices, (S, N).
            weights: Weight of each image in the loss, (S, N).
            output_mask: Which classes exist, (S, C), or (S, 0) where all do.
            channel: The parts of a channel draw, one row per image.
            results: Overwritten, (D, 1 + metrics): the loss, and the metrics in the order of the model's
                `evaluated_metrics`.

        Raises:
            ValueError: If a shape does not fit the model.
            IndexError: If a target is no class.
        """


@runtime_checkable
class HasKernel(TrainableModel, Protocol):
    """A model whose training is compiled to machine code."""

    def draw_channels(self, counts: Sequence[int], generators: Sequence[torch.Generator]) -> Any:
        """`draw_channel` by several generators, at least one, the draws one after the other as a single one."""

    def kernel(self) -> tuple[Any, tuple[float, ...]]:
        """A `Kernel` compiled by Numba that takes one argument more, the first; and that argument.

        Raises:
            Exception: If Numba is missing, or has no folder to keep what it compiles.
        """


@runtime_checkable
class HasEvaluationKernel(HasKernel, Protocol):
    """A model whose test is compiled to machine code as well.

    Attributes:
        evaluated_metrics: Names of the metrics, in the order in which the kernel gives them.
    """

    evaluated_metrics: tuple[str, ...]

    def evaluation_kernel(self) -> tuple[Any, tuple[float, ...]]:
        """An `EvaluationKernel` compiled by Numba that takes one argument more, the first; and that argument.

        Raises:
            Exception: As for `HasKernel.kernel`.
        """


def has_stacked_gradient(model: object) -> TypeGuard[HasStackedGradient]:
    """Whether a model has a gradient in closed form of its present computation."""
    return isinstance(model, HasStackedGradient) and _is_present(model, "stacked_gradient")


def has_kernel(model: object) -> TypeGuard[HasKernel]:
    """Whether a model has a kernel of its present computation."""
    return isinstance(model, HasKernel) and _is_present(model, "kernel")


def has_evaluation_kernel(model: object) -> TypeGuard[HasEvaluationKernel]:
    """Whether a model has a kernel of its present test."""
    return isinstance(model, HasEvaluationKernel) and _is_present(model, "evaluation_kernel", "metrics")


def _is_present(model: object, form: str, *methods: str) -> bool:
    """Whether no subclass has changed the loss or one of the methods and inherited a form of them written before.

    Other layers show in `stacked_forward`, which has to follow them.
    """

    def depth(name: str) -> int:
        classes = type(model).__mro__
        return next((index for index, owner in enumerate(classes) if name in vars(owner)), len(classes))

    return depth(form) <= min(map(depth, ("forward", "stacked_forward", "sample_loss", *methods)))
