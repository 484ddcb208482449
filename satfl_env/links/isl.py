"""Links between satellites: a fixed rate, or what a link budget gives over a distance."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from satfl_env.links.channel import path_gain
from satfl_env.links.radio import RadioLinks
from satfl_env.links.rate import rate_bps
from satfl_env.links.sinr import thermal_noise_w
from satfl_env.settings import STRICT, Decibel, Each, Loss, NonNegative, Positive, default_of

FloatArray = NDArray[np.float64]


class Isl(Protocol):
    """The links between satellites."""

    @property
    def transmit_power_w(self) -> float | None:
        """Power that a satellite draws while it sends to another; None: what it draws while it sends to a gateway."""

    def rates_bps(self, distance_m: FloatArray) -> FloatArray:
        """Rate in bit/s over distances of any shape."""


def isl_power_w(isl: Isl, to_gateway_w: Each) -> Each:
    """Power drawn while a model is sent to another satellite: that to a gateway, if these links have none of their own.

    Either is one number or (S,), in W.
    """
    return to_gateway_w if isl.transmit_power_w is None else isl.transmit_power_w


@dataclass(frozen=True, config=STRICT)
class FixedIsl:
    """Links between satellites that have one rate over any distance.

    Attributes:
        rate_bps: The rate in bit/s.
        transmit_power_w: Power that a satellite draws while it sends to another; None: what it draws while it sends to
            a gateway.

    Raises:
        ValueError: If a value is out of its range.
    """

    rate_bps: Positive = 1e8
    transmit_power_w: NonNegative | None = None
    kind: Literal["fixed"] = "fixed"

    def rates_bps(self, distance_m: FloatArray) -> FloatArray:
        """The fixed rate in bit/s."""
        return np.full_like(distance_m, self.rate_bps)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IslBudget:
    r"""Radio links between satellites in free space, without interference.

    $$R = B \log_2\left(1 + \frac{p \, G^2}{k T F B} \left(\frac{c}{4 \pi d f}\right)^2\right)$$

    The antennas of both ends, of gain G, look at each other (free space: ITU-R P.525; capacity: Shannon). The defaults
    are chosen; they give 2.5 Gbit/s over 2,000 km.

    Attributes:
        carrier_hz: Carrier frequency f.
        bandwidth_hz: Bandwidth B.
        gain_dbi: Gain G of each antenna.
        transmit_power_w: Transmit power p in W.
        noise_figure_db: Noise figure F of the receivers.
        noise_temperature_k: Noise temperature T in K.

    Raises:
        ValueError: If a value is out of its range.
    """

    kind: Literal["budget"] = "budget"
    carrier_hz: Positive = 26e9
    bandwidth_hz: Positive = 500e6
    gain_dbi: Decibel = 38.5
    transmit_power_w: Positive = 10.0
    noise_figure_db: Loss = default_of(RadioLinks, "noise_figure_db")
    noise_temperature_k: Positive = default_of(RadioLinks, "noise_temperature_k")

    def rates_bps(self, distance_m: FloatArray) -> FloatArray:
        """Rate in bit/s over distances of any shape."""
        gain = path_gain(
            distance_m,
            carrier_hz=self.carrier_hz,
            extra_loss_db=0.0,
            satellite_gain_dbi=self.gain_dbi,
            gateway_gain_dbi=self.gain_dbi,
        )
        noise_w = thermal_noise_w(self.bandwidth_hz, self.noise_figure_db, self.noise_temperature_k)
        return rate_bps(self.bandwidth_hz, self.transmit_power_w * gain / noise_w)
