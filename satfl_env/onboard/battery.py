"""A battery that carries over from round to round, charged by the Sun."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SOLAR_IRRADIANCE_WPM2 = 1361.0
"""Total solar irradiance at one astronomical unit (Kopp & Lean 2011)."""


def solar_power_w(panel_area_m2: float, efficiency: float, sunlit_fraction: FloatArray | float = 1.0) -> FloatArray:
    """Electrical power of panels that face the Sun: irradiance times area, efficiency and the part of the time lit.

    Args:
        panel_area_m2: Area of the panels, not negative.
        efficiency: From sunlight to the battery, in [0, 1].
        sunlit_fraction: Part of the Sun, or of a span of time, that reaches each satellite, in [0, 1], (S,).

    Returns:
        Mean power in W, in the shape of `sunlit_fraction`.

    Raises:
        ValueError: If the area or the efficiency is out of its range.
    """
    if not panel_area_m2 >= 0:
        raise ValueError(f"panel_area_m2 must not be negative, got {panel_area_m2}")
    if not 0 <= efficiency <= 1:
        raise ValueError(f"efficiency must lie in [0, 1], got {efficiency}")
    return np.asarray(SOLAR_IRRADIANCE_WPM2 * panel_area_m2 * efficiency * sunlit_fraction)


def usable_charge_j(charge_j: FloatArray, *, capacity_j: float, depth_of_discharge: float) -> FloatArray:
    """Charge above the floor (1 - depth of discharge) * capacity, 0 below it; (S,).

    Raises:
        ValueError: If the depth of discharge lies outside [0, 1].
    """
    if not 0 <= depth_of_discharge <= 1:
        raise ValueError(f"depth_of_discharge must lie in [0, 1], got {depth_of_discharge}")
    return np.maximum(charge_j - (1 - depth_of_discharge) * capacity_j, 0.0)


def battery_after_j(
    charge_j: FloatArray, spent_j: FloatArray, elapsed_s: float, *, harvest_w: FloatArray | float, capacity_j: float
) -> FloatArray:
    """Charge after a round: what was there, less what was spent, plus the harvest, within [0, capacity]; (S,)."""
    return np.clip(charge_j - spent_j + harvest_w * elapsed_s, 0.0, capacity_j)
