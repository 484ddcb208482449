"""Walker constellations: circular orbits in evenly spaced planes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.orbits.kepler import KeplerOrbits

if TYPE_CHECKING:
    from astropy.time import Time

_SPREAD_DEG = {"delta": 360.0, "star": 180.0}


def walker(
    num_satellites: int,
    num_planes: int,
    phasing: int,
    *,
    altitude_m: float,
    inclination_deg: float,
    epoch: Time | str,
    pattern: Literal["delta", "star"] = "delta",
    raan_deg: float = 0.0,
    j2: bool = KeplerOrbits.j2,
) -> KeplerOrbits:
    """Walker constellation i: T/P/F (Walker 1984); satellites are numbered plane by plane.

    Args:
        num_satellites: T, a multiple of P.
        num_planes: P.
        phasing: F in 0..P-1; a satellite is F 360/T degrees ahead of its neighbour in the plane to the west.
        altitude_m: Altitude above the equatorial radius, positive.
        inclination_deg: In [0, 180].
        epoch: Time 0: an astropy time, or ISO text in UTC.
        pattern: The planes' nodes spread over 360 degrees (delta) or 180 degrees (star, for near-polar orbits).
        raan_deg: Right ascension of the first plane's node.
        j2: Whether the orbits drift with the Earth's oblateness.

    Raises:
        ValueError: If a value is out of its range.
    """
    if num_satellites < 1:
        raise ValueError(f"a constellation needs at least one satellite, got num_satellites {num_satellites}")
    if num_planes < 1 or num_satellites % num_planes:
        raise ValueError(f"num_planes must divide num_satellites {num_satellites}, got {num_planes}")
    if not 0 <= phasing < num_planes:
        raise ValueError(f"phasing must lie in 0..{num_planes - 1}, got {phasing}")
    if not 0 < altitude_m < np.inf:
        raise ValueError(f"altitude_m must be positive and finite, got {altitude_m}")
    if not 0 <= inclination_deg <= 180:
        raise ValueError(f"inclination_deg must lie in [0, 180], got {inclination_deg}")
    if pattern not in _SPREAD_DEG:
        raise ValueError(f"pattern must be one of {sorted(_SPREAD_DEG)}, got {pattern!r}")
    per_plane = num_satellites // num_planes
    plane, slot = np.divmod(np.arange(num_satellites), per_plane)
    zeros = np.zeros(num_satellites)
    return KeplerOrbits(
        epoch=epoch,
        semi_major_axis_m=zeros + EQUATORIAL_RADIUS_M + altitude_m,
        eccentricity=zeros,
        inclination_rad=zeros + np.radians(inclination_deg),
        raan_rad=np.radians(raan_deg + _SPREAD_DEG[pattern] / num_planes * plane),
        argument_of_perigee_rad=zeros,
        mean_anomaly_rad=2 * np.pi * (slot / per_plane + phasing * plane / num_satellites),
        j2=j2,
    )
