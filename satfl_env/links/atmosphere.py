"""What the atmosphere takes from a link: a setting, and tables over elevation that are made once per site."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from satfl_env.imports import import_tidily, to_install
from satfl_env.links.angles import sine_of_elevation
from satfl_env.links.contract import Geometry
from satfl_env.links.itu import LOWEST_ELEVATION_DEG, Effect, Site, slant_path_loss_db
from satfl_env.links.recorded import recorded_loss_db
from satfl_env.settings import STRICT, Finite

FloatArray = NDArray[np.float64]

_WGS84 = 1
# Beyond this share of the time P.618 has no rain.
_MOST_RAIN_PERCENT = 5.0
# All weather is below the first height, next to all air below the second.
_WEATHER_TOP_M, _AIR_TOP_M = 10e3, 50e3
# Rain goes with the root of the zenith angle near the zenith: tables are evenly spaced in that root.
_ROOTS = np.linspace(0.0, np.sqrt(90.0 - LOWEST_ELEVATION_DEG), 341)
_SINES = np.cos(np.radians(_ROOTS**2))
ELEVATIONS_DEG = 90.0 - _ROOTS**2
"""Elevations of a table, (K,)."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Atmosphere:
    """Losses in the atmosphere by elevation, site and carrier, after the ITU-R recommendations.

    Gateways must stand on the globe. Below 5 degrees, where the recommendations end, the loss at 5 degrees counts.
    Above 10 km of height gas alone counts, above 50 km nothing. The package `itur` computes the tables:
    `pip install -e '.[links]'`. Those of the built-in scenario `storm` come along.

    Attributes:
        exceedance_percent: Share of an average year in which losses are larger, in [0.01, 50], with rain at most 5.
        gas: Whether oxygen and water vapour count (P.676).
        scintillation: Whether turbulence counts (P.618).
        cloud: Whether clouds count (P.840).
        rain: Whether rain counts (P.618).

    Raises:
        ValueError: If a value is out of its range.
    """

    exceedance_percent: Annotated[Finite, Field(ge=0.01, le=50)] = 1.0
    gas: bool = True
    scintillation: bool = True
    cloud: bool = False
    rain: bool = False

    @model_validator(mode="after")
    def _has_rain(self) -> Atmosphere:
        if self.rain and self.exceedance_percent > _MOST_RAIN_PERCENT:
            raise ValueError(
                f"exceedance_percent must be at most {_MOST_RAIN_PERCENT:g} with rain, got {self.exceedance_percent:g}"
            )
        return self

    def effects_at(self, altitude_m: float) -> frozenset[Effect]:
        """The effects that count for a site at a height above the ellipsoid."""
        counts: dict[Effect, bool] = {
            "gas": self.gas and altitude_m < _AIR_TOP_M,
            "scintillation": self.scintillation and altitude_m < _WEATHER_TOP_M,
            "cloud": self.cloud and altitude_m < _WEATHER_TOP_M,
            "rain": self.rain and altitude_m < _WEATHER_TOP_M,
        }
        return frozenset(effect for effect, does in counts.items() if does)

    def case(self, site: Site, carrier_hz: float, antenna_diameter_m: float) -> dict[str, Any]:
        """What the loss at a site depends on, by the names of `slant_path_loss_db`."""
        return {
            "effects": self.effects_at(site.altitude_m),
            "carrier_hz": carrier_hz,
            "exceedance_percent": self.exceedance_percent,
            "antenna_diameter_m": antenna_diameter_m,
        }

    def check(self, site: Site, *, carrier_hz: float, antenna_diameter_m: float) -> None:
        """Raise `ValueError` if the loss at a site has to be computed and `itur` is not installed."""
        case = self.case(site, carrier_hz, antenna_diameter_m)
        if case["effects"] and recorded_loss_db(site, **case) is None and find_spec("itur") is None:
            raise ValueError(f"atmosphere needs the package itur, which is not installed: {to_install('links')}")

    def loss_db(self, geometry: Geometry, *, carrier_hz: float, antenna_diameter_m: float) -> FloatArray:
        """Loss of every path in dB, (S, G), interpolated to 0.1 dB; see `slant_path_loss_db`.

        Args:
            geometry: Where satellites and gateways are, Earth-fixed.
            carrier_hz: Carrier frequency in [1e9, 55e9].
            antenna_diameter_m: Diameter of a gateway's aperture.

        Raises:
            ValueError: If gateways stand on flat ground, or `itur` would be needed and is not installed.
        """
        if geometry.gateway_frame is None:
            raise ValueError("atmosphere needs gateways on the globe, these stand on flat ground")
        tables = _tables(self, carrier_hz, antenna_diameter_m, geometry.gateway_position_m.tobytes())
        return interpolated_loss_db(tables, sine_of_elevation(geometry))


def zenith_table_db(atmosphere: Atmosphere, site: Site, *, carrier_hz: float, antenna_diameter_m: float) -> FloatArray:
    """Loss times the sine of the elevation in dB, which hardly varies, at the elevations of a table, (K,).

    Raises:
        ValueError: As by `Atmosphere.check`.
    """
    atmosphere.check(site, carrier_hz=carrier_hz, antenna_diameter_m=antenna_diameter_m)
    case = atmosphere.case(site, carrier_hz, antenna_diameter_m)
    if not case["effects"]:
        return np.zeros_like(_SINES)
    recorded_db = recorded_loss_db(site, **case)
    loss_db = slant_path_loss_db(site, ELEVATIONS_DEG, **case) if recorded_db is None else recorded_db
    return loss_db * _SINES


def interpolated_loss_db(tables_db: FloatArray, sine_elevation: FloatArray) -> FloatArray:
    """Losses in dB from each gateway's `zenith_table_db`, (G, K), at the sines of elevations, (S, G)."""
    sine = np.clip(sine_elevation, _SINES[-1], 1.0)
    place = np.sqrt(np.degrees(np.arccos(sine))) / _ROOTS[1]
    below = np.minimum(place.astype(np.int64), len(_ROOTS) - 2)
    gateway = np.arange(len(tables_db))
    low, high = tables_db[gateway, below], tables_db[gateway, below + 1]
    return np.asarray((low + (place - below) * (high - low)) / sine)


# Moving gateways ask for another entry at every step; those on the ground among them keep their tables below.
@lru_cache(maxsize=64)
def _tables(atmosphere: Atmosphere, carrier_hz: float, antenna_diameter_m: float, position_m: bytes) -> FloatArray:
    """Tables of the gateways at positions in ITRS, (G, 3) as bytes; (G, K)."""
    place = import_tidily("erfa").gc2gd(_WGS84, np.frombuffer(position_m).reshape(-1, 3))
    longitude_deg, latitude_deg = np.degrees(place[0]).round(6), np.degrees(place[1]).round(6)
    sites = map(Site, latitude_deg.tolist(), longitude_deg.tolist(), place[2].round(1).tolist())
    return np.stack([_table(atmosphere, carrier_hz, antenna_diameter_m, site) for site in sites])


@lru_cache(maxsize=512)
def _table(atmosphere: Atmosphere, carrier_hz: float, antenna_diameter_m: float, site: Site) -> FloatArray:
    return zenith_table_db(atmosphere, site, carrier_hz=carrier_hz, antenna_diameter_m=antenna_diameter_m)
