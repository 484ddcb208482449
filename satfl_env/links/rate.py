"""From SINR to rate and from rate to transfer time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.links.channel import SPEED_OF_LIGHT_MPS

FloatArray = NDArray[np.float64]


def rate_bps(bandwidth_hz: FloatArray | float, sinr: FloatArray) -> FloatArray:
    """Achievable rate R = b log2(1 + SINR) in bit/s (SemSpaceFL, eq. 15); `sinr` linear, arguments broadcast."""
    return np.asarray(bandwidth_hz * np.log1p(sinr) / np.log(2))


def link_time_s(model_bits: float, rate_bps: FloatArray, distance_m: FloatArray) -> FloatArray:
    """One-way transfer time, bits over rate plus propagation (SemSpaceFL, eq. 16-17); infinite where the rate is 0.

    `rate_bps` (bit/s, not negative) and `distance_m` have the same shape, as does the result.
    """
    sending = np.divide(model_bits, rate_bps, out=np.full(rate_bps.shape, np.inf), where=rate_bps > 0)
    return np.asarray(sending + distance_m / SPEED_OF_LIGHT_MPS)
