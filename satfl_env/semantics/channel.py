"""The physical channel that the semantic symbols cross: power constraint, fading and noise.

Symbols are real and have unit average power per sample, so that the SNR alone fixes the noise power.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from pydantic import ValidationError, ValidatorFunctionWrapHandler, field_validator, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.settings import STRICT, Decibel, NonNegative

POWER_FLOOR = 1e-8
"""Added to the power of symbols: an all-zero code word stays zero instead of turning into NaN."""


class ChannelDraw(NamedTuple):
    """What the channel does to a batch of samples; `n` symbols per sample and `L` independent draws.

    Attributes:
        noise: Additive noise, already scaled to the SNR, shape (B, L, n).
        gain: Amplitude of the block fading, shape (B, L, 1); 1 on an AWGN channel.
        snr_db: Average SNR of each sample in dB, shape (B,).
    """

    noise: Tensor
    gain: Tensor
    snr_db: Tensor


@dataclass(frozen=True, config=STRICT)
class Channel:
    """A memoryless channel with a coherent receiver (the phase of the fading is compensated).

    Attributes:
        kind: `awgn`, `rayleigh` or `rician`; block fading is one gain per sample and draw, of unit mean power.
        snr_db: Average SNR per symbol in dB, within -200..200: one number, or a range (lowest, highest) from which it
            is drawn uniformly for each sample.
        rician_k: Power of the line of sight over the scattered power, linear; for `rician` only.

    Raises:
        ValueError: If a value is out of its range, or `rician_k` is given to another kind.
    """

    kind: Literal["awgn", "rayleigh", "rician"] = "awgn"
    snr_db: Decibel | tuple[Decibel, Decibel] = 0.0
    rician_k: NonNegative = 3.0

    @field_validator("snr_db", mode="wrap")
    @classmethod
    def _number_or_range(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        must = f"must be a number or [lowest, highest] within -200..200 dB, got {value!r}"
        try:
            snr_db = validate(value)
        except ValidationError:
            raise ValueError(must) from None
        if isinstance(snr_db, tuple) and snr_db[0] > snr_db[1]:
            raise ValueError(must)
        return snr_db

    @model_validator(mode="after")
    def _rician_k_is_used(self) -> Channel:
        if self.kind != "rician" and self.rician_k != Channel.rician_k:
            raise ValueError(f"rician_k does not go with kind {self.kind!r}: 'rician' alone has it")
        return self

    def draw(
        self,
        count: int,
        num_draws: int,
        num_symbols: int,
        generator: torch.Generator,
        *,
        snr_db: float | tuple[float, float] | None = None,
    ) -> ChannelDraw:
        """Draw what happens to `count` samples in `num_draws` transmissions of `num_symbols` symbols each.

        `snr_db` replaces the channel's own SNR, for example to test at another SNR than that of training.
        """
        channel = self if snr_db is None else replace(self, snr_db=snr_db)
        return channel.draw_each([count], num_draws, num_symbols, [generator])

    def draw_each(
        self, counts: Sequence[int], num_draws: int, num_symbols: int, generators: Sequence[torch.Generator]
    ) -> ChannelDraw:
        """The draws of several generators, each for some number of samples, one after the other as a single one."""
        low, high = self.snr_db if isinstance(self.snr_db, tuple) else (self.snr_db, self.snr_db)
        total, first = sum(counts), 0
        draw = ChannelDraw(
            torch.empty(total, num_draws, num_symbols), torch.ones(total, num_draws, 1), torch.full((total,), low)
        )
        for count, generator in zip(counts, generators, strict=True):
            own = slice(first, first + count)
            noise = draw.noise[own]
            if low == high:
                noise.normal_(0.0, 10.0 ** (-low / 20.0), generator=generator)
            else:
                noise.normal_(generator=generator)
                draw.snr_db[own] = low + (high - low) * torch.rand(count, generator=generator)
                noise *= (10.0 ** (-draw.snr_db[own] / 20.0)).view(count, 1, 1)
            if self.kind != "awgn":
                draw.gain[own] = self._fading((count, num_draws, 1), generator)
            first += count
        return draw

    def _fading(self, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
        k = self.rician_k if self.kind == "rician" else 0.0
        in_phase, quadrature = torch.randn(2, *shape, generator=generator) / (2.0 * (k + 1.0)) ** 0.5
        return torch.hypot(in_phase + (k / (k + 1.0)) ** 0.5, quadrature)


def normalise_power(symbols: Tensor) -> Tensor:
    """Scale each sample's own symbols, shape (..., n), to unit average power, independently of the others."""
    return symbols * power_scale(symbols)


def power_scale(symbols: Tensor) -> Tensor:
    """Factor that brings each sample's symbols, shape (..., n), to unit average power, shape (..., 1)."""
    return (symbols.square().mean(-1, keepdim=True) + POWER_FLOOR).rsqrt()


def transmit(symbols: Tensor, draw: ChannelDraw) -> Tensor:
    """Received symbols y = gain * x + noise (eq. 4 of the task-clustering paper has gain 1).

    Args:
        symbols: Unit-power symbols x, shape (..., B, n).
        draw: The channel with leading shape (..., B).

    Returns:
        Shape (..., B, L, n): every sample goes out once per draw.
    """
    return torch.addcmul(draw.noise.to(symbols.dtype), draw.gain.to(symbols.dtype), symbols.unsqueeze(-2))
