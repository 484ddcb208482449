"""The base class of models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from satfl_env.semantics.channel import Channel, ChannelDraw


class NoChannelDraw(NamedTuple):
    """The draw of a model without a channel: nothing."""


class SemanticModel(nn.Module, ABC):
    """A model that satellites train: implement `forward`, `sample_loss` and `metrics`.

    Weights, the stacked form for many satellites and, without a channel, its draws are provided; override them where
    there is a better form. Parameters whose names start with `encoder.` are the ones that `training.shared: encoder`
    federates; the others stay on board.

    Not supported are buffers that change in `forward` (BatchNorm in training mode), layers that draw random numbers
    there (dropout in training mode) and samples that depend on one another: satellites train side by side, each on its
    own row of parameters, and nothing else is federated. LayerNorm and GroupNorm work; `check_model` checks a model.

    Attributes:
        channel: The channel of training and, unless overridden, of testing; None means there is none.
        channel_uses: Real channel symbols n of an image; read where there is a channel.
        channel_draws: Channel draws L of an image.
    """

    channel: Channel | None = None
    channel_uses: int
    channel_draws: int = 1

    @abstractmethod
    def forward(self, images: Tensor, draw: Any) -> Tensor:
        """Images (B, ...) and their channel draws to outputs (B, ...), each from its own image alone."""

    @abstractmethod
    def sample_loss(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> Tensor:
        """Loss of each sample, (*, B).

        Args:
            outputs: Outputs of `forward`, (*, B, ...); `*` is nothing or one axis of satellites.
            images: Shape (*, B, ...).
            targets: Class indices, int64, (*, B).
            output_mask: True where a satellite's task has a class, (*, C); None where all have all.
        """

    @abstractmethod
    def metrics(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Test metrics by name, each (*,); higher is better. Arguments as for `sample_loss`."""

    def draw_weights(self, generator: torch.Generator) -> None:
        """Draw all weights anew, by every layer's own `reset_parameters`.

        The global random state is left as it was.

        Raises:
            TypeError: If a parameter belongs to a layer that has no such method.
        """
        for name, layer in self.named_modules():
            own = [parameter for parameter, _ in layer.named_parameters(name, recurse=False)]
            if own and _reset_of(layer) is None:
                raise TypeError(
                    f"{type(layer).__name__}, the owner of the parameter {own[0]!r}, has no reset_parameters(); "
                    f"write it, or draw_weights(generator) of {type(self).__name__}"
                )
        seed = int(torch.randint(2**63 - 1, (), generator=generator))
        # Seeded on the CPU only: `torch.manual_seed` would seed every GPU, too.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.apply(_reset)

    def draw_channel(
        self, count: int, generator: torch.Generator, *, snr_db: float | None = None
    ) -> ChannelDraw | NoChannelDraw:
        """Draw the channel of `count` images, at `snr_db` instead of the channel's own SNR where given.

        A draw is a named tuple of tensors, one row per image.
        """
        if self.channel is None:
            return NoChannelDraw()
        return self.channel.draw(count, self.channel_draws, self.channel_uses, generator, snr_db=snr_db)

    def draw_channels(self, counts: Sequence[int], generators: Sequence[torch.Generator]) -> Any:
        """`draw_channel` by several generators, at least one, the draws one after the other as a single one."""
        channel = self.channel
        inherited = getattr(self.draw_channel, "__func__", None) is SemanticModel.draw_channel
        if inherited and isinstance(channel, Channel) and type(channel).draw is Channel.draw:
            # The same numbers as below in a third of the time.
            return channel.draw_each(counts, self.channel_draws, self.channel_uses, generators)
        draws = list(map(self.draw_channel, counts, generators))
        return type(draws[0])(*map(torch.cat, zip(*draws, strict=True)))

    def stacked_forward(self, parameters: Mapping[str, Tensor], images: Tensor, draw: Any) -> Tensor:
        """`forward` of all satellites at once, each with its own parameters.

        Args:
            parameters: Every parameter under its own name, with a leading satellite axis, (S, ...).
            images: Shape (S, B, ...).
            draw: The channel with leading shape (S, B).

        Returns:
            Outputs, shape (S, B, ...).
        """

        def forward(own: dict[str, Tensor], own_images: Tensor, *own_draw: Tensor) -> Tensor:
            outputs: Tensor = functional_call(self, own, (own_images, type(draw)(*own_draw)))
            return outputs

        outputs: Tensor = vmap(forward)(dict(parameters), images, *draw)
        return outputs


def _reset_of(layer: nn.Module) -> Any:
    """The method that draws a layer's parameters; attention and transformers hide theirs."""
    return getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)


def _reset(layer: nn.Module) -> None:
    reset = _reset_of(layer)
    if reset is not None:
        reset()
