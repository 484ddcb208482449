"""Model sections: one for each kind of model, which makes it. A new kind needs a section here and its class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from math import prod
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env import semantics
from satfl_env.federated import TrainableModel
from satfl_env.semantics import ConvJSCC, MLPLink, SwinJSCC
from satfl_env.settings import STRICT, Count, Decibel, Positive, default_of

ImageShape = tuple[int, ...]
# Each block is built one by one.
Depth = Annotated[Count, Field(le=100)]


@dataclass(frozen=True, config=STRICT)
class Channel(semantics.Channel):
    """The semantic channel between encoder and decoder; `snr_db` is that of training.

    `test_snr_db` is the SNR of every test. `final_snrs_db` are further SNRs at which the gateways' models are
    tested after an episode's last round; this needs `training.shared: all` and an engine other than `none`.
    """

    test_snr_db: Decibel = 0.0
    final_snrs_db: tuple[Decibel, ...] = ()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelSection(ABC):
    """Base class of model sections."""

    needs_tasks: ClassVar[bool]
    """Whether it needs a partition of kind `tasks`; other models reconstruct images and need another kind."""
    metrics: ClassVar[tuple[str, ...]]
    """Names of its test metrics."""

    channel: Channel

    @abstractmethod
    def make(self, image_shape: ImageShape, num_outputs: int) -> TrainableModel:
        """Make the model.

        Args:
            image_shape: Shape of an image, (channels, height, width) for pictures.
            num_outputs: Outputs of the largest decoder; 0 where there are no tasks.

        Raises:
            ValueError: If the images do not fit the model.
        """

    def _arguments(self) -> dict[str, Any]:
        """The settings as the model's class takes them; its first weights are drawn anew for each episode."""
        settings = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "kind"}
        return {"generator": torch.Generator(), **settings}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MLPLinkModel(ModelSection):
    """Two-layer encoder and decoder of the task clustering paper.

    `hidden` and `decoder_hidden` are the widths of their hidden layers, `channel_uses` the number of real channel
    symbols per image, sent over `channel_draws` draws of the channel.
    """

    needs_tasks = True
    metrics = MLPLink.evaluated_metrics

    kind: Literal["mlp-link"] = "mlp-link"
    hidden: Count = default_of(MLPLink, "hidden")
    channel_uses: Count = default_of(MLPLink, "channel_uses")
    decoder_hidden: Count = default_of(MLPLink, "decoder_hidden")
    channel_draws: Count = default_of(MLPLink, "channel_draws")
    channel: Channel = Channel()

    def make(self, image_shape: ImageShape, num_outputs: int) -> TrainableModel:
        """Make the model."""
        return MLPLink(prod(image_shape), num_outputs, **self._arguments())


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Autoencoder(ModelSection):
    """Base class of models that reconstruct images."""

    needs_tasks = False
    metrics = ("psnr_db", "ms_ssim")

    channel: Channel = Channel(snr_db=(1.0, 11.0), test_snr_db=11.0)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ConvJSCCModel(_Autoencoder):
    """Small convolutional deep joint source-channel coding autoencoder.

    `widths` are the feature maps after each of the encoder's three convolutions; the decoder mirrors them. An image of
    H x W pixels, multiples of 4, becomes widths[2] * H/4 * W/4 real channel symbols.
    """

    kind: Literal["conv-jscc"] = "conv-jscc"
    widths: tuple[Count, Count, Count] = default_of(ConvJSCC, "widths")

    def make(self, image_shape: ImageShape, num_outputs: int) -> TrainableModel:
        """Make the model."""
        return ConvJSCC(_picture(image_shape), **self._arguments())


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SwinJSCCModel(_Autoencoder):
    """Deep joint source-channel coding with Swin transformers that know the SNR (WITT); `bandwidth_ratio` is k/n.

    Stage i of the encoder has `depths[i]` blocks on tokens of `patch` * 2^i pixels per side with `width` * 2^i
    features; images have sides that are multiples of the last stage's tokens. An attention head has `head_width`
    features, a divisor of `width`, and sees a `window` of that many tokens per side. k/n is the number of complex
    channel symbols per pixel value.
    """

    kind: Literal["swin-jscc"] = "swin-jscc"
    patch: Count = default_of(SwinJSCC, "patch")
    width: Count = default_of(SwinJSCC, "width")
    depths: Annotated[tuple[Depth, ...], Field(min_length=1)] = default_of(SwinJSCC, "depths")
    head_width: Count = default_of(SwinJSCC, "head_width")
    window: Count = default_of(SwinJSCC, "window")
    bandwidth_ratio: Positive = default_of(SwinJSCC, "bandwidth_ratio")

    def make(self, image_shape: ImageShape, num_outputs: int) -> TrainableModel:
        """Make the model."""
        return SwinJSCC(_picture(image_shape), **self._arguments())


def _picture(image_shape: ImageShape) -> tuple[int, int, int]:
    if len(image_shape) != 3:
        raise ValueError(f"images must have the shape (channels, height, width), got {image_shape}")
    channels, height, width = image_shape
    return channels, height, width


Model = MLPLinkModel | ConvJSCCModel | SwinJSCCModel
