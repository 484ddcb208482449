"""The radio link of SemSpaceFL: one set of parameters, and the rates that follow from it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from satfl_env.links.channel import path_gain
from satfl_env.links.contract import Geometry
from satfl_env.links.rate import bandwidth_share_hz, rate_bps
from satfl_env.links.sinr import sinr, thermal_noise_w
from satfl_env.settings import STRICT, Count, Decibel, Each, EachDecibel, EachPositive, Loss, Positive

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RadioLinks:
    """Radio links with a shared band and co-channel interference (SemSpaceFL, eq. 8-17).

    The defaults are the paper's where it prints them; the others are chosen.

    Attributes:
        carrier_hz: Carrier frequency.
        bandwidth_hz: Band of every gateway, which its satellites share in equal parts.
        satellite_budget_hz: Most bandwidth that one satellite can use (chosen).
        satellite_gain_dbi: Antenna gain of a satellite.
        gateway_gain_dbi: Peak gain of a gateway's array.
        extra_loss_db: Loss on top of free space: gas attenuation and scintillation.
        transmit_power_w: Transmit power of every satellite in W (chosen).
        noise_figure_db: Noise figure of the receiver (chosen).
        noise_temperature_k: Noise temperature in K (chosen).
        array_shape: Antenna elements of a gateway's array along its two sides (chosen).

    Raises:
        ValueError: If a value is out of its range.
    """

    kind: Literal["radio"] = "radio"
    carrier_hz: Positive = 10e9
    bandwidth_hz: Positive = 1e9
    satellite_budget_hz: Positive = 1e9
    satellite_gain_dbi: EachDecibel = 25.0
    gateway_gain_dbi: Decibel = 45.0
    extra_loss_db: Loss = 1.5
    transmit_power_w: EachPositive = 10.0
    noise_figure_db: Loss = 2.0
    noise_temperature_k: Positive = 290.0
    array_shape: tuple[Count, Count] = (16, 16)

    def solo_rate_bps(self, snapshot: Geometry) -> FloatArray:
        """Rate in bit/s of each pair alone on the gateway's whole band, without interference, (S, G)."""
        power_w, gain_dbi = (_of_pairs(value, snapshot) for value in (self.transmit_power_w, self.satellite_gain_dbi))
        return self._solo_rate_bps(snapshot.distance_m, power_w, gain_dbi)

    def associated_rate_bps(self, snapshot: Geometry, association: IntArray) -> FloatArray:
        """Rate of each satellite once the band is shared and co-channel satellites interfere.

        Args:
            snapshot: Where satellites and gateways are.
            association: Gateway of each satellite in 0..G-1, G for those that sit out, (S,).

        Returns:
            Rates in bit/s, (S,); 0 for satellites that sit out.

        Raises:
            ValueError: If an association lies outside 0..G.
        """
        num_gateways = snapshot.distance_m.shape[1]
        share_hz = bandwidth_share_hz(association, num_gateways, self.bandwidth_hz, self.satellite_budget_hz)
        quality = sinr(
            snapshot.position_m,
            snapshot.gateway_position_m,
            self._gain(snapshot.distance_m, _of_pairs(self.satellite_gain_dbi, snapshot)),
            association,
            share_hz,
            bandwidth_hz=self.bandwidth_hz,
            transmit_power_w=_of_rows(self.transmit_power_w, snapshot),
            noise_w=self._noise_w(share_hz),
            array_shape=self.array_shape,
            gateway_frame=snapshot.gateway_frame,
            clear=snapshot.clear,
        )
        return rate_bps(share_hz, quality)

    def highest_rate_bps(self, min_distance_m: float) -> float:
        """Rate in bit/s of a satellite alone at the shortest slant range, the highest of a fleet."""
        rates_bps = self._solo_rate_bps(np.array([min_distance_m]), self.transmit_power_w, self.satellite_gain_dbi)
        return float(rates_bps.max())

    def _solo_rate_bps(self, distance_m: FloatArray, power_w: Each, gain_dbi: Each) -> FloatArray:
        band_hz = min(self.bandwidth_hz, self.satellite_budget_hz)
        return rate_bps(band_hz, power_w * self._gain(distance_m, gain_dbi) / self._noise_w(band_hz))

    def _gain(self, distance_m: FloatArray, gain_dbi: Each) -> FloatArray:
        return path_gain(
            distance_m,
            carrier_hz=self.carrier_hz,
            extra_loss_db=self.extra_loss_db,
            satellite_gain_dbi=gain_dbi,
            gateway_gain_dbi=self.gateway_gain_dbi,
        )

    def _noise_w(self, bandwidth_hz: FloatArray | float) -> FloatArray:
        return thermal_noise_w(bandwidth_hz, self.noise_figure_db, self.noise_temperature_k)


def _of_rows(value: Each, snapshot: Geometry) -> Each:
    """A value of the satellites that send in each row: one number, or (S,)."""
    return value if isinstance(value, float) or snapshot.sender is None else value[snapshot.sender]


def _of_pairs(value: Each, snapshot: Geometry) -> Each:
    """A value of the satellites that send for each pair: one number, (S, 1) or (S, G)."""
    if isinstance(value, float):
        return value
    return value[np.arange(len(value)) if snapshot.sender is None else snapshot.sender].reshape(len(value), -1)
