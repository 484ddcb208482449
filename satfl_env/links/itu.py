"""Loss of a slant path through the atmosphere after the ITU-R recommendations, as the library `itur` computes it."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from satfl_env.imports import import_tidily

FloatArray = NDArray[np.float64]

# P.618 goes no further.
LOWEST_CARRIER_HZ, HIGHEST_CARRIER_HZ = 1e9, 55e9
LOWEST_ELEVATION_DEG = 5.0

Effect = Literal["gas", "scintillation", "cloud", "rain"]

# Names of the effects in `itur`.
_ITUR_NAMES: dict[Effect, str] = {
    "gas": "gas",
    "scintillation": "scintillation",
    "cloud": "clouds",
    "rain": "rain",
}


class Site(NamedTuple):
    """A place on the globe (WGS 84) and its height above the ellipsoid."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float


def slant_path_loss_db(
    site: Site,
    elevation_deg: FloatArray,
    *,
    effects: Collection[Effect],
    carrier_hz: float,
    exceedance_percent: float,
    antenna_diameter_m: float,
) -> FloatArray:
    r"""Loss that is exceeded in a share of an average year, in dB (ITU-R P.618-13, section 2.5).

    $$A = A_\mathrm{gas} + \sqrt{(A_\mathrm{rain} + A_\mathrm{cloud})^2 + A_\mathrm{scintillation}^2}$$

    Gas is P.676 (Annex 2), cloud P.840, rain P.618 with P.837, P.838 and P.839 at circular polarisation, scintillation
    P.618; the climate of the site comes from the maps of the recommendations, which `itur` brings along.

    Args:
        site: The station on the ground.
        elevation_deg: Elevations of the path in [5, 90], (E,).
        effects: Which of them count.
        carrier_hz: Carrier frequency in [1e9, 55e9].
        exceedance_percent: Share of the time in [0.01, 50], with rain at most 5.
        antenna_diameter_m: Diameter of the station's aperture, over which scintillation averages.

    Returns:
        Losses, (E,).

    Raises:
        ImportError: If `itur` is not installed.
    """
    # P.618 is stated for percentages and elevations up to its limits, at which `itur` warns already.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        loss = import_tidily("itur").atmospheric_attenuation_slant_path(
            site.latitude_deg,
            site.longitude_deg,
            carrier_hz / 1e9,
            elevation_deg,
            exceedance_percent,
            antenna_diameter_m,
            hs=max(site.altitude_m, 0.0) / 1e3,
            eta=1.0,
            **{f"include_{name}": effect in effects for effect, name in _ITUR_NAMES.items()},
        )
    return np.array(np.broadcast_to(loss.value, elevation_deg.shape), dtype=np.float64)
