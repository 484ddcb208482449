"""The precise option: numerical integration of two-body motion and J2, by `boinor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from satfl_env.imports import to_install
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M, GRAVITY_M3PS2, J2
from satfl_env.orbits.hermite import motion_between
from satfl_env.orbits.kepler import KeplerOrbits

if TYPE_CHECKING:
    from astropy.time import Time

FloatArray = NDArray[np.float64]

KNOT_STEP_S = 20.0
LONGEST_SPAN_S = 366 * 86_400.0


class CowellOrbits:
    """Orbits integrated with the full J2 force (Cowell's method), tabulated once and interpolated to a centimetre.

    The integration takes some tenths of a second for each satellite and day, after seconds of compilation in `boinor`.
    Against these orbits the secular motion of `KeplerOrbits` stays within 36 km over a day in circular orbits of 160 km
    and more: up to 36 km in polar orbits, 21 to 28 km near the equator, 14 km at 53 degrees. A scene looks ahead by up
    to its horizon plus ten minutes; the span has to cover that as well.

    Args:
        orbits: Where the satellites start: the osculating states of these orbits at their epoch.
        span_s: Time after the epoch for which states are available, positive and at most a year.

    Raises:
        ImportError: If `boinor` is not installed; the message says how to.
        ValueError: If the span is out of its range, or an orbit comes down to the Earth within it.
    """

    def __init__(self, orbits: KeplerOrbits, *, span_s: float = 86_400.0) -> None:
        if not 0 < span_s <= LONGEST_SPAN_S:
            raise ValueError(f"span_s must be positive and at most {LONGEST_SPAN_S:g}, got {span_s}")
        self.span_s = span_s
        self._orbits = orbits
        self._step_s = span_s / np.ceil(span_s / KNOT_STEP_S)
        knots = np.arange(round(span_s / self._step_s) + 1) * self._step_s
        position, velocity = orbits.osculating().states(np.zeros(1))
        tables = [_integrate(*start, knots) for start in zip(position[0], velocity[0], strict=True)]
        self._position_m, self._velocity_mps = (np.stack(table, axis=1) for table in zip(*tables, strict=True))
        # The test is written so that a state which is not finite does not pass it.
        if not self.min_radius_m > EQUATORIAL_RADIUS_M:
            raise ValueError(
                f"orbits must stay outside the Earth for span_s {span_s:g}, "
                f"got one {self.min_radius_m:.0f} m from its centre"
            )

    @property
    def epoch(self) -> Time:
        """Time 0, UTC."""
        return self._orbits.epoch

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return self._orbits.num_satellites

    @property
    def period_s(self) -> FloatArray:
        """Orbital periods of the mean motion, (S,)."""
        return self._orbits.period_s

    @property
    def min_radius_m(self) -> float:
        """Lower bound of every distance from the Earth's centre; a kilometre covers the motion between knots."""
        return float(np.linalg.norm(self._position_m, axis=-1).min()) - 1e3

    @property
    def max_radius_m(self) -> float:
        """Upper bound of every distance from the Earth's centre."""
        return float(np.linalg.norm(self._position_m, axis=-1).max()) + 1e3

    @property
    def max_speed_mps(self) -> float:
        """Upper bound of every inertial speed."""
        return float(np.linalg.norm(self._velocity_mps, axis=-1).max()) + 10.0

    def states(self, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions in m and velocities in m/s at each time (T,), as (T, S, 3) each.

        Raises:
            ValueError: If a time lies outside the integrated span.
        """
        time = np.asarray(time_s, dtype=np.float64)
        if ((time < 0) | (time > self.span_s)).any():
            raise ValueError(f"time_s must lie in the integrated span 0..{self.span_s}, got {time.min()}..{time.max()}")
        knot = np.minimum((time / self._step_s).astype(np.int64), len(self._position_m) - 2)
        fraction = np.repeat(time / self._step_s - knot, self.num_satellites)
        motion = motion_between(
            (self._position_m[knot].reshape(-1, 3), self._position_m[knot + 1].reshape(-1, 3)),
            (self._velocity_mps[knot].reshape(-1, 3), self._velocity_mps[knot + 1].reshape(-1, 3)),
            self._step_s,
        )
        position, velocity = motion.at(fraction)
        shape = (len(time), self.num_satellites, 3)
        return position.reshape(shape), velocity.reshape(shape)


def _integrate(position_m: FloatArray, velocity_mps: FloatArray, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities of one satellite at each time (T,), (T, 3) each."""
    # Imported here: its compilation takes seconds, which only this option should pay.
    try:
        from boinor.core.perturbations import J2_perturbation
        from boinor.core.propagation import cowell
        from boinor.core.propagation.base import func_twobody
    except ImportError as error:
        raise ImportError(f"CowellOrbits needs boinor: {to_install('orbits')}") from error

    def force(time: float, state: FloatArray, gravity: float) -> FloatArray:
        rate: FloatArray = func_twobody(time, state, gravity)
        rate[3:] += J2_perturbation(time, state, gravity, J2, EQUATORIAL_RADIUS_M / 1e3)
        return rate

    gravity_km3ps2 = GRAVITY_M3PS2 / 1e9
    position, velocity = cowell(gravity_km3ps2, position_m / 1e3, velocity_mps / 1e3, time_s, f=force)
    return np.array(position) * 1e3, np.array(velocity) * 1e3
