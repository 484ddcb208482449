"""The interface of orbits: states at any time, and bounds that hold at all times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.frames import earth_fixed, teme_to_itrs

if TYPE_CHECKING:
    from astropy.time import Time

FloatArray = NDArray[np.float64]
# Positions in m and velocities in m/s.
States = tuple[FloatArray, FloatArray]


class Orbits(Protocol):
    """Satellites in orbit; times count from `epoch`, states are in TEME."""

    @property
    def epoch(self) -> Time:
        """Time 0, UTC."""
        ...

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        ...

    @property
    def period_s(self) -> FloatArray:
        """Orbital periods, (S,)."""
        ...

    @property
    def min_radius_m(self) -> float:
        """Lower bound of every distance from the Earth's centre."""
        ...

    @property
    def max_radius_m(self) -> float:
        """Upper bound of every distance from the Earth's centre."""
        ...

    @property
    def max_speed_mps(self) -> float:
        """Upper bound of every inertial speed."""
        ...

    def states(self, time_s: FloatArray) -> States:
        """Positions in m and velocities in m/s at each time (T,), as (T, S, 3) each."""
        ...


def earth_fixed_states(orbits: Orbits, time_s: FloatArray) -> States:
    """Positions and velocities in ITRS at each time (T,), as (T, S, 3) each, in m and m/s."""
    return earth_fixed(teme_to_itrs(orbits.epoch, time_s), *orbits.states(time_s))
