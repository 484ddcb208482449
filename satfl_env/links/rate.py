"""From a share of the band and SINR to rate, and from rate to transfer time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.links.channel import SPEED_OF_LIGHT_MPS
from satfl_env.settings import Each

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LOG_2 = np.log(2)


def bandwidth_share_hz(
    association: IntArray,
    num_gateways: int,
    bandwidth_hz: float,
    satellite_budget_hz: float,
    share: FloatArray | None = None,
) -> FloatArray:
    r"""Bandwidth of each satellite: its share of its gateway's band, within its own budget (SemSpaceFL, eq. 14).

    $$b_s = \min\left(\frac{B}{|\mathcal{U}_g|}, b_\mathrm{max}\right), \qquad s \in \mathcal{U}_g$$

    in equal parts, and $b_s = \min(B a_s, b_\mathrm{max})$ for shares $a_s$.

    Args:
        association: Gateway of each satellite, (S,).
        num_gateways: G.
        bandwidth_hz: Band of every gateway (frequency reuse 1).
        satellite_budget_hz: Most that one satellite can use.
        share: Share of the band of each satellite, (S,); None: equal parts.

    Returns:
        Bandwidths in Hz, (S,); 0 for satellites that sit out.

    Raises:
        ValueError: If an association lies outside 0..G.
    """
    if ((association < 0) | (association > num_gateways)).any():
        raise ValueError(f"association must lie in 0..{num_gateways} (the last sits out), got {association}")
    members = np.bincount(association, minlength=num_gateways + 1)[association]
    part_hz = bandwidth_hz / members if share is None else bandwidth_hz * share
    return np.where(association < num_gateways, np.minimum(part_hz, satellite_budget_hz), 0.0)


def rate_bps(bandwidth_hz: FloatArray | float, sinr: FloatArray) -> FloatArray:
    r"""Achievable rate $R = b \log_2(1 + \mathrm{SINR})$ in bit/s (SemSpaceFL, eq. 15).

    `sinr` is linear; the arguments broadcast.
    """
    return np.asarray(bandwidth_hz * np.log1p(sinr) / _LOG_2)


def link_time_s(model_bits: Each, rate_bps: FloatArray, distance_m: FloatArray) -> FloatArray:
    r"""One-way transfer time of a model of $M$ bits (SemSpaceFL, eq. 16-17); infinite where the rate is 0.

    $$t = \frac{M}{R} + \frac{d}{c}$$

    `rate_bps` (bit/s, not negative) and `distance_m` have the same shape, as do the result, and the bits unless they
    are one number.
    """
    sending = np.divide(model_bits, rate_bps, out=np.full(rate_bps.shape, np.inf), where=rate_bps > 0)
    return np.asarray(sending + distance_m / SPEED_OF_LIGHT_MPS)
