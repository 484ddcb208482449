"""Cubic Hermite interpolation of motion: for states a minute apart, a low orbit is right to half a metre."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Motion(NamedTuple):
    """A cubic path for each of N intervals; the fraction of the interval runs from 0 to 1.

    Attributes:
        coefficient_m: Of the powers 0 to 3 of the fraction, (4, N, 3).
        step_s: Length of the intervals.
    """

    coefficient_m: FloatArray
    step_s: float

    def take(self, rows: IntArray) -> Motion:
        """Some of the intervals."""
        return self._replace(coefficient_m=self.coefficient_m[:, rows])

    def at(self, fraction: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions and velocities at a fraction (N,) of each interval, (N, 3) each, in m and m/s."""
        x = fraction[:, None]
        c0, c1, c2, c3 = self.coefficient_m
        return ((c3 * x + c2) * x + c1) * x + c0, ((3 * c3 * x + 2 * c2) * x + c1) / self.step_s


def motion_between(
    position_m: tuple[FloatArray, FloatArray], velocity_mps: tuple[FloatArray, FloatArray], step_s: float
) -> Motion:
    """The motion with given positions and velocities, (N, 3) each, at the two ends of intervals of `step_s`."""
    first, last = position_m
    v_first, v_last = velocity_mps[0] * step_s, velocity_mps[1] * step_s
    way = last - first
    return Motion(np.stack([first, v_first, 3 * way - 2 * v_first - v_last, v_first + v_last - 2 * way]), step_s)
