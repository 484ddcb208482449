"""The fully connected semantic link of the task-clustering paper: encoder, channel, task decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from satfl_env.semantics.channel import POWER_FLOOR, Channel, ChannelDraw, normalise_power, power_scale, transmit
from satfl_env.semantics.classifier import Classifier
from satfl_env.semantics.initialise import initialise
from satfl_env.semantics.losses import mask_logits
from satfl_env.semantics.mlp_gradient import (
    column_linear,
    infomax_backward,
    linear,
    linear_backward,
)
from satfl_env.semantics.model import SemanticModel
from satfl_env.semantics.shared_gradient import normalise_power_backward, relu_backward

_LAYERS = ("encoder.0", "encoder.2", "decoder.0", "decoder.2")
_PARAMETERS = {f"{layer}.{kind}" for layer in _LAYERS for kind in ("weight", "bias")}


class MLPLink(Classifier):
    """Two-layer encoder in-hidden-n with ReLU, noisy channel of n symbols, two-layer decoder n-hidden-C.

    Decoders of different size live in one model that is as wide as the largest; `output_mask` (*, C) of the loss and
    the metrics says which classes exist.

    Args:
        num_pixels: Values in one flattened image.
        num_outputs: Width C of the decoder.
        channel: The channel of training and, unless overridden, of testing.
        generator: Source of the initial weights.
        hidden: Hidden width of the encoder.
        channel_uses: Real channel symbols n per image.
        decoder_hidden: Hidden width of the decoder.
        channel_draws: Channel draws L per image (eq. 4).

    Raises:
        ValueError: If a size is not positive.
    """

    evaluated_metrics = ("accuracy", "balanced_accuracy")

    def __init__(
        self,
        num_pixels: int,
        num_outputs: int,
        *,
        channel: Channel,
        generator: torch.Generator,
        hidden: int = 32,
        channel_uses: int = 8,
        decoder_hidden: int = 16,
        channel_draws: int = SemanticModel.channel_draws,
    ) -> None:
        """Build the layers and draw their weights."""
        sizes = {
            "num_pixels": num_pixels,
            "num_outputs": num_outputs,
            "hidden": hidden,
            "channel_uses": channel_uses,
            "decoder_hidden": decoder_hidden,
            "channel_draws": channel_draws,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} is {size}; allowed are integers >= 1")
        with torch.device("meta"):
            super().__init__(
                nn.Sequential(nn.Linear(num_pixels, hidden), nn.ReLU(), nn.Linear(hidden, channel_uses)),
                nn.Sequential(
                    nn.Linear(channel_uses, decoder_hidden), nn.ReLU(), nn.Linear(decoder_hidden, num_outputs)
                ),
            )
        self.channel = channel
        self.channel_uses = channel_uses
        self.channel_draws = channel_draws
        self.draw_weights(generator)

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        initialise(self, generator)

    def forward(self, images: Tensor, draw: ChannelDraw) -> Tensor:
        """Images (B, ...) and their channel to logits (B, L, C)."""
        received = transmit(normalise_power(self.encoder(images.flatten(1))), draw)
        logits: Tensor = self.decoder(received)
        return logits

    def stacked_forward(self, parameters: Mapping[str, Tensor], images: Tensor, draw: ChannelDraw) -> Tensor:
        """All satellites at once: logits (S, B, L, C); see `SemanticModel.stacked_forward`."""
        # With samples in columns, products that have but a few rows take half the time.
        hidden = column_linear(parameters, "encoder.0", images.flatten(2).mT).relu()
        symbols = column_linear(parameters, "encoder.2", hidden).mT
        received = transmit(normalise_power(symbols), draw)
        decoded = column_linear(parameters, "decoder.0", received.flatten(1, 2).mT).relu()
        logits: Tensor = column_linear(parameters, "decoder.2", decoded).mT.unflatten(1, received.shape[1:3])
        return logits

    def stacked_gradient(
        self,
        parameters: Mapping[str, Tensor],
        images: Tensor,
        draw: ChannelDraw,
        targets: Tensor,
        output_mask: Tensor | None,
        share: Tensor,
        gradient: Mapping[str, Tensor],
    ) -> Tensor:
        """Sample losses and, without automatic differentiation, the gradient of their `share`-weighted sum.

        Args:
            parameters: As for `stacked_forward`, and so are `images` and `draw`.
            images: Shape (S, B, ...).
            draw: The channel with leading shape (S, B).
            targets: Class indices, (S, B).
            output_mask: True where a class exists, (S, C); None means all of them.
            share: Weight of each sample, (S, B).
            gradient: Overwritten; one tensor for each of `parameters`, of the same shape.

        Returns:
            Loss of each sample, (S, B).
        """
        inputs = images.flatten(2)
        hidden = linear(parameters, "encoder.0", inputs).relu_()
        symbols = linear(parameters, "encoder.2", hidden)
        scale = power_scale(symbols)
        unit = symbols * scale
        received = transmit(unit, draw)
        arrived = received.flatten(1, 2)
        decoded = linear(parameters, "decoder.0", arrived).relu_()
        logits = linear(parameters, "decoder.2", decoded).unflatten(1, received.shape[1:3])

        loss, grad = infomax_backward(mask_logits(logits, output_mask), targets, share)
        grad = grad.flatten(1, 2)
        linear_backward(gradient, "decoder.2", decoded, grad)
        grad = relu_backward(decoded, grad @ parameters["decoder.2.weight"])
        linear_backward(gradient, "decoder.0", arrived, grad)
        grad = (grad @ parameters["decoder.0.weight"]).view(received.shape)
        grad = normalise_power_backward(unit, scale, (grad * draw.gain).sum(2))
        linear_backward(gradient, "encoder.2", hidden, grad)
        grad = relu_backward(hidden, grad @ parameters["encoder.2.weight"])
        linear_backward(gradient, "encoder.0", inputs, grad)
        return loss

    def kernel(self) -> tuple[Any, tuple[float, ...]]:
        """Training as machine code, compiled by Numba when it is first called, and its first argument.

        The arguments that follow are those of `satfl_env.federated.model.Kernel`; the channel is a `ChannelDraw`.

        Raises:
            ImportError: If Numba is missing.
            RuntimeError: If there is no folder to keep what it compiles.
        """
        from satfl_env.semantics.mlp_kernel import train_mlp_link

        return train_mlp_link, self._kernel_constants()

    def evaluation_kernel(self) -> tuple[Any, tuple[float, ...]]:
        """The test as machine code, as `kernel` is training; see `satfl_env.federated.model.EvaluationKernel`."""
        from satfl_env.semantics.mlp_kernel import evaluate_mlp_link

        return evaluate_mlp_link, self._kernel_constants()

    def _kernel_constants(self) -> tuple[float, ...]:
        """Sizes of the layers, and the least power.

        Raises:
            ValueError: If a subclass has other parameters than the link's own.
        """
        shapes = {name: parameter.shape for name, parameter in self.named_parameters()}
        if others := sorted(shapes.keys() ^ _PARAMETERS):
            raise ValueError(f"it is for models of {', '.join(_LAYERS)}; what differs is {', '.join(others)}")
        weights = [shapes[f"{layer}.weight"] for layer in _LAYERS]
        return weights[0][1], *(outputs for outputs, _ in weights), POWER_FLOOR
