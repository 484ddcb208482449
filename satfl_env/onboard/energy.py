"""Energy for training that comes fresh every round; `battery` has the kind that carries over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def draw_energy_j(rng: np.random.Generator, size: int, mean_j: float, std_j: float) -> FloatArray:
    """Energy budgets E_max ~ N(mean, std) for one round (SemSpaceFL, section V-A), (size,).

    Clipped to [0, mean + 6 std], so that budgets have a bound.
    """
    return np.clip(rng.normal(mean_j, std_j, size), 0.0, mean_j + 6 * std_j)
