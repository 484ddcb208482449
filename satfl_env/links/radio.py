"""The radio link of SemSpaceFL: one set of parameters, and the rates that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from pydantic.dataclasses import dataclass

from satfl_env.links.angles import cosine_off_nadir, sine_of_elevation
from satfl_env.links.antenna import aperture_diameter_m, circular_aperture_pattern, planar_array_gain_dbi, scan_gain
from satfl_env.links.atmosphere import Atmosphere
from satfl_env.links.channel import path_gain
from satfl_env.links.contract import Geometry
from satfl_env.links.itu import HIGHEST_CARRIER_HZ, LOWEST_CARRIER_HZ, Site
from satfl_env.links.rate import bandwidth_share_hz, rate_bps
from satfl_env.links.sinr import sinr, thermal_noise_w
from satfl_env.settings import (
    STRICT,
    Count,
    Decibel,
    Each,
    EachDecibel,
    EachPositive,
    Loss,
    NonNegative,
    Positive,
    Share,
    default_of,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BandLinks:
    """Radio links on one band, with co-channel interference (SemSpaceFL, eq. 8-17); satellites share the band.

    The defaults are the paper's where it prints them; the others are chosen.

    Attributes:
        carrier_hz: Carrier frequency.
        bandwidth_hz: Band of every gateway, which its satellites share.
        satellite_budget_hz: Most bandwidth that one satellite can use (chosen).
        satellite_gain_dbi: Peak gain of a satellite's antenna.
        gateway_gain_dbi: Peak gain of a gateway's array, where there is no `array_efficiency`.
        extra_loss_db: Loss on top of free space, gas attenuation and scintillation, where there is no `atmosphere`.
        transmit_power_w: Transmit power of every satellite in W (chosen).
        noise_figure_db: Noise figure of the receiver (chosen).
        noise_temperature_k: Noise temperature in K (chosen).
        array_shape: Antenna elements of a gateway's array along its two sides (chosen).
        array_efficiency: Aperture efficiency in (0, 1] from which the peak gain of a gateway's array follows, see
            `planar_array_gain_dbi`; null takes `gateway_gain_dbi`.
        scan_exponent: A gateway's array loses gain with this power of the cosine of the angle it is steered off its
            boresight, see `scan_gain`; 0 loses nothing.
        satellite_pattern: `steered` points a satellite's antenna at every gateway; with `nadir` it points down and has
            the pattern of an aperture of its gain, see `circular_aperture_pattern`.
        atmosphere: Losses by elevation, site and carrier; null takes `extra_loss_db`.

    Raises:
        ValueError: If a value is out of its range, or one is given together with what takes its place.
    """

    kind: str
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
    array_efficiency: Share | None = None
    scan_exponent: NonNegative = 0.0
    satellite_pattern: Literal["steered", "nadir"] = "steered"
    atmosphere: Atmosphere | None = None

    undivided: ClassVar[str | None] = None
    """Why the band cannot be divided as an access may say; None where it can."""

    @model_validator(mode="after")
    def _says_each_value_once(self) -> BandLinks:
        for name, instead in (("gateway_gain_dbi", "array_efficiency"), ("extra_loss_db", "atmosphere")):
            value = getattr(self, name)
            if getattr(self, instead) is not None and value != default_of(BandLinks, name):
                raise ValueError(f"give {name} or {instead}, not both; got {name} {value:g}")
        return self

    @model_validator(mode="after")
    def _has_loss_at_carrier(self) -> BandLinks:
        if self.atmosphere is not None and not LOWEST_CARRIER_HZ <= self.carrier_hz <= HIGHEST_CARRIER_HZ:
            raise ValueError(
                f"carrier_hz must lie in {LOWEST_CARRIER_HZ:g}..{HIGHEST_CARRIER_HZ:g} with an atmosphere, "
                f"got {self.carrier_hz:g}"
            )
        return self

    def check_sites(self, sites: Iterable[Site]) -> None:
        """Raise `ValueError` if the atmosphere's loss at one of these sites cannot be had; see `Atmosphere.check`."""
        if self.atmosphere is not None:
            for site in sites:
                self.atmosphere.check(site, carrier_hz=self.carrier_hz, antenna_diameter_m=self._diameter_m)

    def solo_rate_bps(self, snapshot: Geometry) -> FloatArray:
        """Rate in bit/s of each pair alone on the gateway's whole band, without interference, (S, G)."""
        return self._alone_bps(_of_pairs(self.transmit_power_w, snapshot), self._gain(snapshot))

    def associated_rate_bps(
        self, snapshot: Geometry, association: IntArray, share: FloatArray | None = None
    ) -> FloatArray:
        """Rate of each satellite once the band is shared and co-channel satellites interfere.

        Args:
            snapshot: Where satellites and gateways are.
            association: Gateway of each satellite in 0..G-1, G for those that sit out, (S,).
            share: Share of its gateway's band of each satellite, (S,); None: equal parts.

        Returns:
            Rates in bit/s, (S,); 0 for satellites that sit out.

        Raises:
            ValueError: If an association lies outside 0..G.
        """
        num_gateways = snapshot.distance_m.shape[1]
        share_hz = self._bands_hz(association, num_gateways, share)
        # Often a few of many satellites send.
        sends, rates_bps = np.flatnonzero(association < num_gateways), np.zeros(len(association))
        share_hz, gateways, gain = share_hz[sends], association[sends], self._gain(snapshot, sends)
        power_w = _rows_of(_of_rows(self.transmit_power_w, snapshot), sends)
        quality = sinr(
            snapshot.position_m[sends],
            snapshot.gateway_position_m,
            gain,
            gateways,
            share_hz,
            bandwidth_hz=self.bandwidth_hz,
            transmit_power_w=power_w,
            noise_w=self._noise_w(share_hz) + self._own_gateway_w(power_w, gain, gateways),
            array_shape=self.array_shape,
            gateway_frame=snapshot.gateway_frame,
            clear=None if snapshot.clear is None else snapshot.clear[sends],
        )
        rates_bps[sends] = rate_bps(share_hz, quality)
        return rates_bps

    def highest_rate_bps(self, min_distance_m: float) -> float:
        """Rate in bit/s of a satellite alone at the shortest slant range, the highest of a fleet.

        All antennas are on target, and the air takes nothing.
        """
        gain = self._peak_gain(np.array([min_distance_m]), self.satellite_gain_dbi)
        return float(self._alone_bps(self.transmit_power_w, gain).max())

    def _bands_hz(self, association: IntArray, num_gateways: int, share: FloatArray | None) -> FloatArray:
        """Bandwidth of each satellite, (S,); see `bandwidth_share_hz`."""
        return bandwidth_share_hz(association, num_gateways, self.bandwidth_hz, self.satellite_budget_hz, share)

    def _own_gateway_w(self, power_w: Each, gain: FloatArray, association: IntArray) -> FloatArray | float:
        """Power that disturbs each of R satellites from others of its own gateway, in W: none, they are orthogonal.

        Args:
            power_w: Transmit powers, one number or (R,).
            gain: Linear path gain, (R, G).
            association: Gateways, (R,).
        """
        return 0.0

    def _alone_bps(self, power_w: Each, gain: FloatArray) -> FloatArray:
        band_hz = min(self.bandwidth_hz, self.satellite_budget_hz)
        return rate_bps(band_hz, power_w * gain / self._noise_w(band_hz))

    def _gain(self, snapshot: Geometry, rows: IntArray | slice = slice(None)) -> FloatArray:
        """Linear gain of the pairs in some rows once the gateway's array is steered to the satellite, (R, G)."""
        satellite_gain_dbi = _of_pairs(self.satellite_gain_dbi, snapshot)
        gain = self._peak_gain(snapshot.distance_m[rows], _rows_of(satellite_gain_dbi, rows))
        for factor in self._factors(snapshot, satellite_gain_dbi):
            gain = gain * factor[rows]
        return gain

    def _peak_gain(self, distance_m: FloatArray, satellite_gain_dbi: Each) -> FloatArray:
        """Linear gain with both antennas on target, without the losses that depend on direction."""
        efficiency = self.array_efficiency
        array_gain_dbi = None if efficiency is None else planar_array_gain_dbi(self.array_shape, efficiency)
        return path_gain(
            distance_m,
            carrier_hz=self.carrier_hz,
            extra_loss_db=self.extra_loss_db if self.atmosphere is None else 0.0,
            satellite_gain_dbi=satellite_gain_dbi,
            gateway_gain_dbi=self.gateway_gain_dbi if array_gain_dbi is None else array_gain_dbi,
        )

    def _factors(self, snapshot: Geometry, satellite_gain_dbi: Each) -> Iterator[FloatArray]:
        """Relative gains in [0, 1] that depend on direction, each (S, G)."""
        if self.scan_exponent > 0:
            yield scan_gain(sine_of_elevation(snapshot), self.scan_exponent)
        if self.satellite_pattern == "nadir":
            yield circular_aperture_pattern(cosine_off_nadir(snapshot), satellite_gain_dbi)
        if self.atmosphere is not None:
            loss_db = self.atmosphere.loss_db(snapshot, carrier_hz=self.carrier_hz, antenna_diameter_m=self._diameter_m)
            yield 10 ** (-loss_db / 10)

    @property
    def _diameter_m(self) -> float:
        """Diameter of a gateway's aperture."""
        return aperture_diameter_m(self.array_shape, self.carrier_hz)

    def _noise_w(self, bandwidth_hz: FloatArray | float) -> FloatArray:
        return thermal_noise_w(bandwidth_hz, self.noise_figure_db, self.noise_temperature_k)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RadioLinks(BandLinks):
    """The radio links of SemSpaceFL: each satellite has a part of its gateway's band."""

    kind: Literal["radio"] = "radio"


def _rows_of(value: Each, rows: IntArray | slice) -> Each:
    """Some rows of a value that is not one number for all."""
    return value if isinstance(value, float) else value[rows]


def _of_rows(value: Each, snapshot: Geometry) -> Each:
    """A value of the satellites that send in each row: one number, or (S,)."""
    return value if isinstance(value, float) or snapshot.sender is None else value[snapshot.sender]


def _of_pairs(value: Each, snapshot: Geometry) -> Each:
    """A value of the satellites that send for each pair: one number, (S, 1) or (S, G)."""
    if isinstance(value, float):
        return value
    return value[np.arange(len(value)) if snapshot.sender is None else snapshot.sender].reshape(len(value), -1)
