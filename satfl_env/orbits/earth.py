"""The Earth in seven numbers (WGS 84; J2 of EGM96)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRAVITY_M3PS2 = 3.986004418e14
"""Gravitational parameter mu."""

EQUATORIAL_RADIUS_M = 6_378_137.0
"""Equatorial radius."""

J2 = 1.08262668e-3
"""Second zonal harmonic: the oblateness."""

LOWEST_ALTITUDE_M = 100e3
"""Altitude above the equatorial radius below which nothing stays in orbit."""

HILL_RADIUS_M = 1.5e9
"""Distance beyond which nothing orbits the Earth: its Hill sphere, rounded."""

ROTATION_RADPS = 7.292115e-5
"""Rotation rate relative to the stars."""

CLEAR_OF_AIR_M = 80e3
"""Height that lines of sight in space stay above (Kassing et al., "Exploring the Internet from Space with Hypatia",
ACM IMC 2020)."""


def central_acceleration_mps2(radius_m: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Upper bound of the gravity at distances from the Earth's centre: one percent covers the oblateness."""
    return np.asarray(1.01 * GRAVITY_M3PS2 / radius_m**2)
