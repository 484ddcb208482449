"""The radio link of SemSpaceFL: one set of parameters, and the rates that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satfl_env.links.channel import path_gain
from satfl_env.links.rate import rate_bps
from satfl_env.links.sinr import bandwidth_share_hz, sinr, thermal_noise_w

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class RadioLinks:
    """Radio links with a shared band and co-channel interference (SemSpaceFL, eq. 8-15).

    The defaults are the paper's where it prints them; the others are chosen.

    Attributes:
        carrier_hz: Carrier frequency, positive.
        bandwidth_hz: Band of every gateway, positive.
        satellite_budget_hz: Most bandwidth one satellite can use, positive (chosen).
        satellite_gain_dbi: Antenna gain of a satellite.
        gateway_gain_dbi: Peak gain of a gateway's array.
        extra_loss_db: Loss on top of free space.
        transmit_power_w: Transmit power of every satellite, positive (chosen).
        noise_figure_db: Noise figure of the receiver (chosen).
        noise_temperature_k: Noise temperature, positive (chosen).
        array_shape: Elements of a gateway's array along x and y, at least 1 each (chosen).

    Raises:
        ValueError: If a value is out of its range.
    """

    carrier_hz: float = 10e9
    bandwidth_hz: float = 1e9
    satellite_budget_hz: float = 1e9
    satellite_gain_dbi: float = 25.0
    gateway_gain_dbi: float = 45.0
    extra_loss_db: float = 1.5
    transmit_power_w: float = 10.0
    noise_figure_db: float = 2.0
    noise_temperature_k: float = 290.0
    array_shape: tuple[int, int] = (16, 16)

    def __post_init__(self) -> None:
        positive = ("carrier_hz", "bandwidth_hz", "satellite_budget_hz", "transmit_power_w", "noise_temperature_k")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if len(self.array_shape) != 2 or min(self.array_shape) < 1:
            raise ValueError(f"array_shape must be two numbers of at least 1, got {self.array_shape}")

    def solo_rate_bps(self, distance_m: FloatArray) -> FloatArray:
        """Rate in bit/s of each pair alone on the gateway's whole band, without interference; any shape, as (S, G)."""
        band_hz = min(self.bandwidth_hz, self.satellite_budget_hz)
        return rate_bps(band_hz, self.transmit_power_w * self._gain(distance_m) / self._noise_w(band_hz))

    def associated_rate_bps(
        self,
        position_m: FloatArray,
        gateway_position_m: FloatArray,
        distance_m: FloatArray,
        association: IntArray,
        gateway_frame: FloatArray | None = None,
    ) -> FloatArray:
        """Rate of each satellite once the band is shared and co-channel satellites interfere.

        Args:
            position_m: Satellite positions, (S, 3).
            gateway_position_m: Gateway positions, (G, 3).
            distance_m: Slant ranges, (S, G).
            association: Gateway of each satellite in 0..G-1, G for those that sit out, (S,).
            gateway_frame: Local axes of each gateway in rows, the third up, (G, 3, 3); None where they are x, y and z.

        Returns:
            Rates in bit/s, (S,); 0 for satellites that sit out.

        Raises:
            ValueError: If an association lies outside 0..G.
        """
        num_gateways = distance_m.shape[1]
        share_hz = bandwidth_share_hz(association, num_gateways, self.bandwidth_hz, self.satellite_budget_hz)
        quality = sinr(
            position_m,
            gateway_position_m,
            self._gain(distance_m),
            association,
            share_hz,
            bandwidth_hz=self.bandwidth_hz,
            transmit_power_w=self.transmit_power_w,
            noise_w=self._noise_w(share_hz),
            array_shape=self.array_shape,
            gateway_frame=gateway_frame,
        )
        return rate_bps(share_hz, quality)

    def _gain(self, distance_m: FloatArray) -> FloatArray:
        return path_gain(
            distance_m,
            carrier_hz=self.carrier_hz,
            extra_loss_db=self.extra_loss_db,
            satellite_gain_dbi=self.satellite_gain_dbi,
            gateway_gain_dbi=self.gateway_gain_dbi,
        )

    def _noise_w(self, bandwidth_hz: FloatArray | float) -> FloatArray:
        return thermal_noise_w(bandwidth_hz, self.noise_figure_db, self.noise_temperature_k)
