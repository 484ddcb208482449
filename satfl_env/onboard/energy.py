"""Where the energy for training comes from: a fresh draw every round, or a battery that carries over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def draw_energy_j(rng: np.random.Generator, size: int, mean_j: float, std_j: float) -> FloatArray:
    """Energy budgets E_max ~ N(mean, std) for one round (SemSpaceFL, section V-A), (size,).

    Clipped to [0, mean + 6 std], so that budgets have a bound.
    """
    return np.clip(rng.normal(mean_j, std_j, size), 0.0, mean_j + 6 * std_j)


def battery_after_j(
    charge_j: FloatArray, spent_j: FloatArray, elapsed_s: float, *, harvest_w: float, capacity_j: float
) -> FloatArray:
    """Charge after a round: what was there, less what was spent, plus the harvest, within [0, capacity]; (S,)."""
    return np.clip(charge_j - spent_j + harvest_w * elapsed_s, 0.0, capacity_j)
