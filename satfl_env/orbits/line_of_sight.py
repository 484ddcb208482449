"""Whether two satellites see each other past the Earth."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.settings import Finite

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Beyond it, low satellites would never be in sight.
GrazingHeight = Annotated[Finite, Field(ge=0, le=1000e3)]


def line_of_sight(
    first_m: FloatArray, second_m: FloatArray, *, blocking_radius_m: float = EQUATORIAL_RADIUS_M
) -> BoolArray:
    """Whether the straight line between two points clears a sphere about the Earth's centre (Vallado, Algorithm 35).

    `position[:, None]` and `position` give the matrix of all pairs of a constellation.

    Args:
        first_m: Points outside the sphere, (..., 3).
        second_m: Points outside the sphere, (..., 3); broadcast with `first_m`.
        blocking_radius_m: Radius of the sphere; more than the Earth's keeps links out of the atmosphere.

    Returns:
        Shape (...).
    """
    first_squared = np.einsum("...i,...i", first_m, first_m)
    second_squared = np.einsum("...i,...i", second_m, second_m)
    product = np.einsum("...i,...i", first_m, second_m)
    # The nearest point of the line lies between the two if both see the centre ahead of the perpendicular.
    between = (first_squared > product) & (second_squared > product)
    length_squared = first_squared + second_squared - 2 * product
    hits = first_squared * second_squared - product**2 < blocking_radius_m**2 * length_squared
    return np.asarray(~(between & hits))
