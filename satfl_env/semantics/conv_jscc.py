"""A small convolutional autoencoder for deep joint source-channel coding of images."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satfl_env.semantics.channel import Channel, ChannelDraw, normalise_power, transmit
from satfl_env.semantics.initialise import initialise
from satfl_env.semantics.losses import reconstruction_loss
from satfl_env.semantics.metrics import ms_ssim, psnr_db


class _Layer(NamedTuple):
    name: str
    stride: int
    transposed: bool = False


_KERNEL, _PADDING, _DOWNSAMPLING = 5, 2, 4
_ENCODER = (_Layer("encoder.0", 2), _Layer("encoder.2", 2), _Layer("encoder.4", 1))
_DECODER = (_Layer("decoder.0", 1, True), _Layer("decoder.2", 2, True), _Layer("decoder.4", 2, True))


class ConvJSCC(nn.Module):
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
                nn.Conv2d(colours, first, _KERNEL, 2, _PADDING),
                nn.ReLU(),
                nn.Conv2d(first, second, _KERNEL, 2, _PADDING),
                nn.ReLU(),
                nn.Conv2d(second, last, _KERNEL, 1, _PADDING),
            )
            self.decoder = nn.Sequential(
                nn.ConvTranspose2d(last, second, _KERNEL, 1, _PADDING),
                nn.ReLU(),
                nn.ConvTranspose2d(second, first, _KERNEL, 2, _PADDING, output_padding=1),
                nn.ReLU(),
                nn.ConvTranspose2d(first, colours, _KERNEL, 2, _PADDING, output_padding=1),
                nn.Sigmoid(),
            )
        self.draw_weights(generator)

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        initialise(self, generator)

    def draw_channel(self, count: int, generator: torch.Generator, *, snr_db: float | None = None) -> ChannelDraw:
        """Draw the channel of `count` images, at `snr_db` instead of the channel's own SNR where given."""
        return self.channel.draw(count, 1, self.channel_uses, generator, snr_db=snr_db)

    def forward(self, images: Tensor, draw: ChannelDraw) -> Tensor:
        """Images (B, C, H, W) and their channel to reconstructions of the same shape."""
        received = transmit(normalise_power(self.encoder(images).flatten(1)), draw)
        outputs: Tensor = self.decoder(received.view(-1, *self.code_shape))
        return outputs

    def stacked_forward(self, parameters: Mapping[str, Tensor], images: Tensor, draw: ChannelDraw) -> Tensor:
        """All satellites at once, as convolutions with one group per satellite.

        Args:
            parameters: Every parameter under its own name, with a leading satellite axis, (S, ...).
            images: Shape (S, B, C, H, W).
            draw: The channel with leading shape (S, B).

        Returns:
            Reconstructions, shape (S, B, C, H, W).
        """
        code = _grouped_stack(parameters, _ENCODER, images)
        received = transmit(normalise_power(code.flatten(2)), draw)
        return _grouped_stack(parameters, _DECODER, received.view(code.shape)).sigmoid()

    def sample_loss(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> Tensor:
        """Mean squared error of each image, (*, B). Targets and mask are not read."""
        return reconstruction_loss(outputs, images)

    def metrics(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`psnr_db` and `ms_ssim`, shape (*,), each the mean over the images."""
        return {"psnr_db": psnr_db(outputs, images).mean(-1), "ms_ssim": ms_ssim(outputs, images).mean(-1)}


def _grouped_stack(parameters: Mapping[str, Tensor], layers: tuple[_Layer, ...], inputs: Tensor) -> Tensor:
    """Convolutions with ReLU between, each satellite a group; (S, B, C, H, W) -> (S, B, C', H', W')."""
    satellites = inputs.shape[0]
    # Grouped convolutions want the satellites side by side on the channel axis.
    maps = inputs.transpose(0, 1).flatten(1, 2)
    for index, layer in enumerate(layers):
        weight = parameters[f"{layer.name}.weight"].flatten(0, 1)
        bias = parameters[f"{layer.name}.bias"].flatten()
        if index:
            maps = maps.relu()
        if layer.transposed:
            maps = F.conv_transpose2d(maps, weight, bias, layer.stride, _PADDING, layer.stride - 1, satellites)
        else:
            maps = F.conv2d(maps, weight, bias, layer.stride, _PADDING, groups=satellites)
    stacked: Tensor = maps.unflatten(1, (satellites, -1)).transpose(0, 1)
    return stacked
