"""The interface of models in federated learning; the semantic models satisfy it without importing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


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
        """Sample losses (S, B); writes the gradient of their `share`-weighted sum into `gradient`."""
