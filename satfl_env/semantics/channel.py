"""The physical channel that the semantic symbols cross: power constraint, fading and noise.

Symbols are real and have unit average power per sample, so that the SNR alone fixes the noise power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

CHANNEL_KINDS = ("awgn", "rayleigh", "rician")
_POWER_FLOOR = 1e-8  # an all-zero code word stays zero instead of turning into NaN


class ChannelDraw(NamedTuple):
    """What the channel does to a batch of samples; `n` symbols a sample and `L` independent draws.

    Attributes:
        noise: Additive noise, already scaled to the SNR, shape (B, L, n).
        gain: Amplitude of the block fading, shape (B, L, 1); 1 on an AWGN channel.
        snr_db: Average SNR of each sample in dB, shape (B,).
    """

    noise: Tensor
    gain: Tensor
    snr_db: Tensor


@dataclass(frozen=True)
class Channel:
    """A memoryless channel with a coherent receiver (the phase of the fading is compensated).

    Args:
        kind: `awgn`, `rayleigh` or `rician`; block fading is one gain a sample and draw, of unit mean power.
        snr_db: Average SNR per symbol in dB, fixed or a range (low, high) drawn uniformly for each sample.
        rician_k: Power of the line of sight over the scattered power, linear, >= 0; read by `rician` only.

    Raises:
        ValueError: If the kind is unknown, the SNR is not finite or its range reversed, or K is negative or infinite.
    """

    kind: str = "awgn"
    snr_db: float | tuple[float, float] = 0.0
    rician_k: float = 3.0

    def __post_init__(self) -> None:
        """Reject what cannot be drawn."""
        if self.kind not in CHANNEL_KINDS:
            raise ValueError(f"kind is {self.kind!r}; allowed are {', '.join(CHANNEL_KINDS)}")
        _snr_range(self.snr_db)
        if not 0.0 <= self.rician_k < float("inf"):
            raise ValueError(f"rician_k is {self.rician_k!r}; allowed are finite numbers >= 0")

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

        `snr_db` replaces the channel's own SNR, as when testing at one SNR what was trained at another.
        """
        low, high = _snr_range(self.snr_db if snr_db is None else snr_db)
        noise = torch.randn(count, num_draws, num_symbols, generator=generator)
        if low == high:
            sample_snr_db = torch.full((count,), low)
            noise *= 10.0 ** (-low / 20.0)
        else:
            sample_snr_db = low + (high - low) * torch.rand(count, generator=generator)
            noise *= (10.0 ** (-sample_snr_db / 20.0)).view(count, 1, 1)
        return ChannelDraw(noise, self._draw_gain((count, num_draws, 1), generator), sample_snr_db)

    def _draw_gain(self, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
        if self.kind == "awgn":
            return torch.ones(shape)
        k = self.rician_k if self.kind == "rician" else 0.0
        in_phase, quadrature = torch.randn(2, *shape, generator=generator) / (2.0 * (k + 1.0)) ** 0.5
        return torch.hypot(in_phase + (k / (k + 1.0)) ** 0.5, quadrature)


def normalise_power(symbols: Tensor) -> Tensor:
    """Scale each sample's own symbols, shape (..., n), to unit average power; no sample sees its neighbours."""
    return symbols * power_scale(symbols)


def power_scale(symbols: Tensor) -> Tensor:
    """Factor that brings each sample's symbols, shape (..., n), to unit average power, shape (..., 1)."""
    return (symbols.square().mean(-1, keepdim=True) + _POWER_FLOOR).rsqrt()


def transmit(symbols: Tensor, draw: ChannelDraw) -> Tensor:
    """Received symbols y = gain * x + noise (eq. 4 of the task-clustering paper has gain 1).

    Args:
        symbols: Unit-power symbols x, shape (..., B, n).
        draw: The channel with leading shape (..., B).

    Returns:
        Shape (..., B, L, n): every sample goes out once per draw.
    """
    return torch.addcmul(draw.noise.to(symbols.dtype), draw.gain.to(symbols.dtype), symbols.unsqueeze(-2))


def _snr_range(snr_db: float | tuple[float, float]) -> tuple[float, float]:
    low, high = snr_db if isinstance(snr_db, tuple) else (snr_db, snr_db)
    if not -200.0 <= low <= high <= 200.0:
        raise ValueError(f"snr_db is {snr_db!r}; allowed are a number or (low, high) within [-200, 200] dB")
    return float(low), float(high)
