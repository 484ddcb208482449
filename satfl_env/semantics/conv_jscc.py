"""A small convolutional autoencoder for deep joint source-channel coding of images."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor, nn

from satfl_env.semantics.autoencoder import Autoencoder
from satfl_env.semantics.channel import Channel, ChannelDraw, normalise_power, power_scale, transmit
from satfl_env.semantics.conv_gradient import (
    PADDING,
    ConvLayer,
    convolve,
    convolve_backward,
    satellite_first,
    side_by_side,
)
from satfl_env.semantics.initialise import initialise
from satfl_env.semantics.shared_gradient import normalise_power_backward, relu_backward

_KERNEL, _DOWNSAMPLING = 5, 4
# On a CPU satellites train in groups of about this many pixels: more leave its cache, fewer cost calls.
_CACHE_PIXELS = 2**16
_ENCODER = (ConvLayer("encoder.0", 2), ConvLayer("encoder.2", 2), ConvLayer("encoder.4", 1))
_DECODER = (ConvLayer("decoder.0", 1, True), ConvLayer("decoder.2", 2, True), ConvLayer("decoder.4", 2, True))


class ConvJSCC(Autoencoder):
    """Encoder of three 5x5 convolutions (strides 2, 2, 1), channel, and the mirrored decoder.

    Images are in [0, 1]; the decoder ends in a sigmoid. An image of H x W pixels becomes
    widths[2] * H/4 * W/4 real channel symbols of unit average power, normalised over that image alone.

    Args:
        image_shape: Shape of one image, (channels, height, width); height and width multiples of 4.
        channel: The channel of training and, unless overridden, of testing.
        generator: Source of the initial weights.
        widths: Feature maps after each of the encoder's convolutions.

    Raises:
        ValueError: If the image shape does not fit or a width is not positive.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channel: Channel,
        generator: torch.Generator,
        widths: tuple[int, int, int] = (16, 32, 8),
    ) -> None:
        """Build the layers and draw their weights."""
        super().__init__()
        colours, height, width = image_shape
        if min(image_shape) < 1 or height % _DOWNSAMPLING or width % _DOWNSAMPLING:
            raise ValueError(f"image_shape is {image_shape}; height and width must be positive multiples of 4")
        if min(widths) < 1:
            raise ValueError(f"widths is {widths}; allowed are integers >= 1")
        first, second, last = widths
        self.channel = channel
        self.code_shape = (last, height // _DOWNSAMPLING, width // _DOWNSAMPLING)
        self.channel_uses = prod(self.code_shape)
        with torch.device("meta"):
            self.encoder = nn.Sequential(
                nn.Conv2d(colours, first, _KERNEL, 2, PADDING),
                nn.ReLU(),
                nn.Conv2d(first, second, _KERNEL, 2, PADDING),
                nn.ReLU(),
                nn.Conv2d(second, last, _KERNEL, 1, PADDING),
            )
            self.decoder = nn.Sequential(
                nn.ConvTranspose2d(last, second, _KERNEL, 1, PADDING),
                nn.ReLU(),
                nn.ConvTranspose2d(second, first, _KERNEL, 2, PADDING, output_padding=1),
                nn.ReLU(),
                nn.ConvTranspose2d(first, colours, _KERNEL, 2, PADDING, output_padding=1),
                nn.Sigmoid(),
            )
        self.draw_weights(generator)

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        initialise(self, generator)

    def forward(self, images: Tensor, draw: ChannelDraw) -> Tensor:
        """Images (B, C, H, W) and their channel to reconstructions of the same shape."""
        received = transmit(normalise_power(self.encoder(images).flatten(1)), draw)
        outputs: Tensor = self.decoder(received.view(-1, *self.code_shape))
        return outputs

    def stacked_forward(self, parameters: Mapping[str, Tensor], images: Tensor, draw: ChannelDraw) -> Tensor:
        """All satellites at once, as convolutions with one group per satellite; see `SemanticModel.stacked_forward`."""
        satellites = len(images)
        code = satellite_first(_stack(parameters, _ENCODER, side_by_side(images))[-1], satellites)
        received = transmit(normalise_power(code.flatten(2)), draw)
        maps = _stack(parameters, _DECODER, side_by_side(received.view(code.shape)))[-1]
        return satellite_first(maps, satellites).sigmoid()

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
            images: Shape (S, B, C, H, W).
            draw: The channel with leading shape (S, B).
            targets: Not read: the images are their own targets.
            output_mask: Not read.
            share: Weight of each sample, (S, B), 0 at the end of a row where a minibatch is padded.
            gradient: Overwritten; one tensor for each of `parameters`, of the same shape.

        Returns:
            Loss of each sample, (S, B); where padded, it may be 0.
        """
        if images.device.type != "cpu":
            return self._gradient(parameters, images, draw, share, gradient)
        together = max(1, _CACHE_PIXELS // images[0, :, 0].numel())
        counts = share.count_nonzero(1).tolist()
        loss = torch.zeros_like(share)
        for first in range(0, len(images), together):
            some = slice(first, first + together)
            used = some, slice(max(counts[some]))
            loss[used] = self._gradient(
                {name: part[some] for name, part in parameters.items()},
                images[used],
                ChannelDraw(*(part[used] for part in draw)),
                share[used],
                {name: part[some] for name, part in gradient.items()},
            )
        return loss

    def _gradient(
        self,
        parameters: Mapping[str, Tensor],
        images: Tensor,
        draw: ChannelDraw,
        share: Tensor,
        gradient: Mapping[str, Tensor],
    ) -> Tensor:
        """`stacked_gradient` of all satellites in one go."""
        satellites = len(images)
        encoded = _stack(parameters, _ENCODER, side_by_side(images))
        code = satellite_first(encoded[-1], satellites)
        symbols = code.flatten(2)
        scale = power_scale(symbols)
        unit = symbols * scale
        received = transmit(unit, draw)
        decoded = _stack(parameters, _DECODER, side_by_side(received.view(code.shape)))
        outputs = decoded[-1].sigmoid_()

        error = outputs - encoded[0]
        loss = satellite_first(error.square(), satellites).mean((-3, -2, -1))
        weight = (share * (2.0 / images[0, 0].numel())).mT.repeat_interleave(images.shape[2], 1)
        grad = error.mul_(weight[..., None, None]).mul_(outputs).mul_(1.0 - outputs)
        grad = _stack_backward(parameters, _DECODER, decoded, grad, gradient)
        grad = satellite_first(grad, satellites).reshape(received.shape)
        grad = normalise_power_backward(unit, scale, (grad * draw.gain).sum(2))
        grad = side_by_side(grad.view(code.shape))
        _stack_backward(parameters, _ENCODER, encoded, grad, gradient, inputs_too=False)
        return loss


def _stack(parameters: Mapping[str, Tensor], layers: tuple[ConvLayer, ...], inputs: Tensor) -> list[Tensor]:
    """Convolutions with ReLU between: the inputs of each layer and, at the end, the outputs of the last."""
    maps = [inputs]
    for index, layer in enumerate(layers):
        if index:
            maps[-1].relu_()
        maps.append(convolve(parameters, layer, maps[-1]))
    return maps


def _stack_backward(
    parameters: Mapping[str, Tensor],
    layers: tuple[ConvLayer, ...],
    maps: list[Tensor],
    outputs_gradient: Tensor,
    gradient: Mapping[str, Tensor],
    *,
    inputs_too: bool = True,
) -> Tensor:
    """Write the gradient of all layers from their maps, see `_stack`; returns that of the inputs if `inputs_too`."""
    grad = outputs_gradient
    for index in reversed(range(len(layers))):
        through = inputs_too or index > 0
        grad = convolve_backward(parameters, layers[index], maps[index], grad, gradient, inputs_too=through)
        if index:
            grad = relu_backward(maps[index], grad)
    return grad
