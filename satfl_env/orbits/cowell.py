"""The precise option: numerical integration of two-body motion and J2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from satfl_env.imports import import_tidily
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M, GRAVITY_M3PS2, J2
from satfl_env.orbits.hermite import motion_between
from satfl_env.orbits.kepler import KeplerOrbits

if TYPE_CHECKING:
    from astropy.time import Time

FloatArray = NDArray[np.float64]

KNOT_STEP_S = 20.0
# The joint error counts satellites alike: so strict, one eccentric orbit among 1500 circles is right to a millimetre.
RELATIVE_TOLERANCE = 1e-13
ABSOLUTE_TOLERANCE = 1e-9  # in m and m/s
LONGEST_SPAN_S = 366 * 86_400.0


class CowellOrbits:
    """Orbits integrated with the full J2 force (Cowell's method), tabulated once and interpolated to a centimetre.

    All satellites are integrated together: a day takes some tenths of a second for ten, seconds for 1500.
    Against these orbits the secular motion of `KeplerOrbits` stays within 36 km over a day in circular orbits of 160 km
    and more: up to 36 km in polar orbits, 21 to 28 km near the equator, 14 km at 53 degrees. A scene looks ahead by up
    to its horizon plus ten minutes; the span has to cover that as well.

    Args:
        orbits: Where the satellites start: the osculating states of these orbits at their epoch.
        span_s: Time after the epoch for which states are available, positive and at most a year.

    Raises:
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
        self._position_m, self._velocity_mps = _integrate(position[0], velocity[0], knots)
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
        if not ((time >= 0) & (time <= self.span_s)).all():
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


def oblate_gravity_mps2(position_m: FloatArray) -> FloatArray:
    """Acceleration by the Earth's gravity and its oblateness (Curtis, Orbital Mechanics, eq. 12.30).

    -mu r / |r|^3, and the same times -(3/2) J2 (R / |r|)^2 (5 (z / |r|)^2 - c), c = 1 along x and y and 3 along z.

    Args:
        position_m: From the Earth's centre, z along its axis, (3, S).

    Returns:
        In m/s^2, (3, S).
    """
    squared_m2 = (position_m**2).sum(axis=0)
    oblate = 1.5 * J2 * EQUATORIAL_RADIUS_M**2 / squared_m2
    shape = 5 * position_m[2] ** 2 / squared_m2 - np.array([[1.0], [1.0], [3.0]])
    return np.asarray(GRAVITY_M3PS2 / squared_m2**1.5 * position_m * (oblate * shape - 1))


def _integrate(position_m: FloatArray, velocity_mps: FloatArray, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities from those at time 0, (S, 3) each, at each time (T,), as (T, S, 3) each."""
    size = position_m.size

    def rate(_: float, state: FloatArray) -> FloatArray:
        return np.concatenate([state[size:], oblate_gravity_mps2(state[:size].reshape(3, -1)).ravel()])

    # At time 0 SciPy asks for the next number, which is too small for full precision; callers may have that raise.
    with np.errstate(under="ignore"):
        motion = import_tidily("scipy.integrate").solve_ivp(
            rate,
            (0.0, time_s[-1]),
            np.concatenate([position_m.T, velocity_mps.T]).ravel(),
            method="DOP853",
            t_eval=time_s,
            rtol=RELATIVE_TOLERANCE,
            atol=ABSOLUTE_TOLERANCE,
        )
    position, velocity = motion.y.reshape(2, 3, -1, len(time_s)).transpose(0, 3, 2, 1)
    return np.ascontiguousarray(position), np.ascontiguousarray(velocity)
