"""The Earth in six numbers (WGS 84; J2 of EGM96)."""

from __future__ import annotations

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
