"""Deep joint source-channel coding of images with Swin transformers that know the state of the channel.

The architecture of K. Yang et al., "WITT: A Wireless Image Transmission Transformer for Semantic Communications",
ICASSP 2023, which SemSpaceFL trains (section V-A), built from torchvision's Swin blocks.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satfl_env.imports import import_tidily
from satfl_env.semantics.autoencoder import Autoencoder
from satfl_env.semantics.channel import Channel, ChannelDraw, normalise_power, transmit
from satfl_env.semantics.initialise import initialise

_BIAS_STD = 0.02  # of the attention's relative position bias, as in Swin
_SNR_UNIT_DB = 10.0  # brings SNRs in dB to the order of 1
_MLP_RATIO = 4.0


class SwinJSCC(Autoencoder):
    """Encoder of Swin stages, channel, and the mirrored decoder; both know the SNR.

    Images are in [0, 1]; the decoder ends in a sigmoid. Stage i works on tokens of `patch * 2**i` pixels per side with
    `width * 2**i` features. Power is normalised over the symbols of each image alone, unlike in WITT's own code, which
    normalises over the whole batch.

    Args:
        image_shape: Shape of one image, (channels, height, width); sides are multiples of the coarsest token.
        channel: The channel of training and, unless overridden, of testing.
        generator: Source of the initial weights.
        patch: Side of a token of the first stage in pixels.
        width: Features of the first stage.
        depths: Swin blocks of each stage of the encoder; the decoder has them in reverse.
        head_width: Features of one attention head; divides `width`.
        window: Side of an attention window in tokens.
        bandwidth_ratio: Complex channel symbols per image value, k/n; two real symbols make one complex symbol.

    Raises:
        ValueError: If the image shape or the head width does not fit, a number is not positive, or the bandwidth ratio
            leaves less than one symbol per token.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channel: Channel,
        generator: torch.Generator,
        patch: int = 4,
        width: int = 32,
        depths: tuple[int, ...] = (2, 2),
        head_width: int = 16,
        window: int = 4,
        bandwidth_ratio: float = 1 / 6,
    ) -> None:
        """Build the layers and draw their weights."""
        super().__init__()
        colours, height, side = image_shape
        token = patch * 2 ** (len(depths) - 1)
        for name, value in {"patch": patch, "width": width, "window": window, "head_width": head_width}.items():
            if value < 1:
                raise ValueError(f"{name} is {value}; allowed are integers >= 1")
        if min(depths, default=0) < 1:
            raise ValueError(f"depths is {depths}; allowed are one or more integers >= 1")
        if min(image_shape) < 1 or height % token or side % token:
            raise ValueError(f"image_shape is {image_shape}; height and width must be positive multiples of {token}")
        if width % head_width:
            raise ValueError(f"head_width is {head_width}; it must divide width {width}")
        code_width = round(2 * bandwidth_ratio * colours * token**2)
        if code_width < 1:
            raise ValueError(f"bandwidth_ratio is {bandwidth_ratio}; it leaves less than one symbol per token")
        self.channel = channel
        self.code_shape = (height // token, side // token, code_width)
        self.channel_uses = prod(self.code_shape)
        with torch.device("meta"):
            self.encoder = _Encoder(colours, patch, width, depths, head_width, window, code_width)
            self.decoder = _Decoder(colours, patch, width, depths, head_width, window, code_width)
        self.draw_weights(generator)
        self.eval()  # nothing here is random but the channel

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        initialise(self, generator)
        _initialise_swin(self, generator)

    def forward(self, images: Tensor, draw: ChannelDraw) -> Tensor:
        """Images (B, C, H, W) and their channel to reconstructions of the same shape."""
        code = self.encoder(images, draw.snr_db)
        received = transmit(normalise_power(code.flatten(1)), draw)
        outputs: Tensor = self.decoder(received.view(-1, *self.code_shape), draw.snr_db)
        return outputs


class _Encoder(nn.Module):
    """Patch embedding, Swin stages with patch merging between them, channel modulation and projection to symbols."""

    def __init__(
        self, colours: int, patch: int, width: int, depths: tuple[int, ...], head_width: int, window: int, code: int
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(colours, width, patch, patch)
        self.norm = nn.LayerNorm(width)
        layers: list[nn.Module] = []
        for stage, depth in enumerate(depths):
            if stage:
                layers.append(_swin().PatchMerging(width * 2 ** (stage - 1)))
            layers.append(_stage(width * 2**stage, depth, head_width, window))
        self.stages = nn.Sequential(*layers)
        self.modulation = ChannelModulation(width * 2 ** (len(depths) - 1))
        self.project = nn.Linear(width * 2 ** (len(depths) - 1), code)

    def forward(self, images: Tensor, snr_db: Tensor) -> Tensor:
        """Images (B, C, H, W) to symbols (B, h, w, code)."""
        tokens = self.norm(self.embed(images).permute(0, 2, 3, 1))
        symbols: Tensor = self.project(self.modulation(self.stages(tokens), snr_db))
        return symbols


class _Decoder(nn.Module):
    """The mirrored encoder: projection from symbols, channel modulation, Swin stages with patch splitting."""

    def __init__(
        self, colours: int, patch: int, width: int, depths: tuple[int, ...], head_width: int, window: int, code: int
    ) -> None:
        super().__init__()
        last = width * 2 ** (len(depths) - 1)
        self.embed = nn.Linear(code, last)
        self.modulation = ChannelModulation(last)
        layers: list[nn.Module] = []
        for stage in reversed(range(len(depths))):
            layers.append(_stage(width * 2**stage, depths[stage], head_width, window))
            if stage:
                layers.append(PatchSplitting(width * 2**stage, width * 2 ** (stage - 1), 2))
        self.stages = nn.Sequential(*layers)
        self.restore = PatchSplitting(width, colours, patch)

    def forward(self, symbols: Tensor, snr_db: Tensor) -> Tensor:
        """Received symbols (B, h, w, code) to images (B, C, H, W)."""
        tokens = self.modulation(self.embed(symbols), snr_db)
        pixels: Tensor = self.restore(self.stages(tokens)).permute(0, 3, 1, 2)
        return pixels.sigmoid()


class ChannelModulation(nn.Module):
    """Gates the features by the state of the channel, after WITT's Channel ModNet, in one step instead of seven."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.state = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.Sigmoid())
        self.features = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)

    def forward(self, tokens: Tensor, snr_db: Tensor) -> Tensor:
        """Tokens (B, h, w, width) and the SNR of each image (B,) to tokens of the same shape."""
        state = self.state(snr_db.to(tokens)[:, None] / _SNR_UNIT_DB)[:, None, None]
        gated: Tensor = tokens * self.gate(self.features(tokens) * state).sigmoid()
        return gated


class PatchSplitting(nn.Module):
    """The reverse of patch merging: every token becomes `factor` x `factor` narrower ones by a pixel shuffle."""

    def __init__(self, width: int, out_width: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, out_width * factor**2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, h, w, width) to (B, factor h, factor w, out_width)."""
        expanded = self.expand(self.norm(tokens)).permute(0, 3, 1, 2)
        return F.pixel_shuffle(expanded, self.factor).permute(0, 2, 3, 1)


def _swin() -> Any:
    """The Swin layers of torchvision, whose import takes seconds that other models need not wait for."""
    return import_tidily("torchvision.models.swin_transformer")


def _stage(width: int, depth: int, head_width: int, window: int) -> nn.Sequential:
    """Swin blocks; every second one shifts its windows by half."""
    return nn.Sequential(
        *(
            _swin().SwinTransformerBlock(
                width, width // head_width, [window] * 2, [window // 2 * (block % 2)] * 2, mlp_ratio=_MLP_RATIO
            )
            for block in range(depth)
        )
    )


def _initialise_swin(module: nn.Module, generator: torch.Generator) -> None:
    """Fill what is neither linear nor convolutional in a module that was built on the meta device."""
    for layer in module.modules():
        if isinstance(layer, nn.LayerNorm):
            layer.reset_parameters()
        elif isinstance(layer, _swin().ShiftedWindowAttention):
            layer.define_relative_position_index()
            nn.init.trunc_normal_(layer.relative_position_bias_table, std=_BIAS_STD, generator=generator)
