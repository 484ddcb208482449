"""Two-body motion with the secular drift that the Earth's oblateness adds, all satellites and times at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M, GRAVITY_M3PS2, HILL_RADIUS_M, J2
from satfl_env.orbits.frames import gcrs_to_teme, make_epoch, times_after

if TYPE_CHECKING:
    from astropy.time import Time
    from boinor.twobody import Orbit

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KeplerOrbits:
    """Elliptic orbits about the Earth: two-body motion, with secular J2 drift if `j2`.

    Angles refer to the true equator and mean equinox of the epoch (TEME); that frame is taken as inertial, which
    displaces a low satellite by about 5 m a day. With `j2` the elements are mean elements in Brouwer's sense.

    Attributes:
        epoch: Time 0: an astropy time, or ISO text in UTC.
        semi_major_axis_m: Semi-major axes, at most 1.5e9 m, where the Sun takes over, (S,).
        eccentricity: In [0, 1), (S,).
        inclination_rad: In [0, pi], (S,).
        raan_rad: Right ascensions of the ascending nodes, (S,).
        argument_of_perigee_rad: (S,).
        mean_anomaly_rad: At the epoch, (S,).
        j2: Whether node, perigee and mean anomaly drift with the Earth's oblateness.

    Raises:
        ValueError: If there is no satellite, a shape does not fit, a value is out of its range, or a perigee lies
            inside the Earth.
    """

    epoch: Time
    semi_major_axis_m: FloatArray
    eccentricity: FloatArray
    inclination_rad: FloatArray
    raan_rad: FloatArray
    argument_of_perigee_rad: FloatArray
    mean_anomaly_rad: FloatArray
    j2: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "epoch", make_epoch(self.epoch))
        shape = (np.size(self.semi_major_axis_m),)
        if shape == (0,):
            raise ValueError("a constellation needs at least one satellite, got semi_major_axis_m of size 0")
        for name in _ELEMENTS:
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
            if not np.isfinite(value).all():
                raise ValueError(f"{name} must be finite, got {value}")
            object.__setattr__(self, name, value)
        if (self.semi_major_axis_m > HILL_RADIUS_M).any():
            raise ValueError(f"semi_major_axis_m must be at most {HILL_RADIUS_M:g}, got {self.semi_major_axis_m.max()}")
        if not ((self.eccentricity >= 0) & (self.eccentricity < 1)).all():
            raise ValueError(f"eccentricity must lie in [0, 1), got {self.eccentricity}")
        if not ((self.inclination_rad >= 0) & (self.inclination_rad <= np.pi)).all():
            raise ValueError(f"inclination_rad must lie in [0, pi], got {self.inclination_rad}")
        if self.min_radius_m <= EQUATORIAL_RADIUS_M:
            raise ValueError(
                "semi_major_axis_m and eccentricity must keep every perigee outside the Earth, "
                f"got one {self.min_radius_m} m from its centre"
            )

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return len(self.semi_major_axis_m)

    @property
    def mean_motion_radps(self) -> FloatArray:
        """Mean motions n = sqrt(mu / a^3), (S,)."""
        return np.sqrt(GRAVITY_M3PS2 / self.semi_major_axis_m**3)

    @property
    def period_s(self) -> FloatArray:
        """Orbital periods 2 pi / n, (S,)."""
        return 2 * np.pi / self.mean_motion_radps

    @property
    def min_radius_m(self) -> float:
        """Lowest perigee."""
        return float((self.semi_major_axis_m * (1 - self.eccentricity)).min())

    @property
    def max_radius_m(self) -> float:
        """Highest apogee."""
        return float((self.semi_major_axis_m * (1 + self.eccentricity)).max())

    @property
    def max_speed_mps(self) -> float:
        """Upper bound of every speed: that at the perigee, and what the drift of node and perigee adds."""
        speed = np.sqrt(GRAVITY_M3PS2 / self.semi_major_axis_m * (1 + self.eccentricity) / (1 - self.eccentricity))
        drift = sum(np.abs(rate) for rate in self._rates()[:2])
        return float((speed * (1 + J2) + drift * self.max_radius_m).max())

    def states(self, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions in m and velocities in m/s at each time (T,), as (T, S, 3) each."""
        time = np.asarray(time_s, dtype=np.float64)[:, None]
        raan_rate, perigee_rate, anomaly_rate = self._rates()
        semi_minor_m = self.semi_major_axis_m * np.sqrt(1 - self.eccentricity**2)

        anomaly = solve_kepler(self.mean_anomaly_rad + anomaly_rate * time, self.eccentricity)
        cosine, sine = np.cos(anomaly), np.sin(anomaly)
        speed = anomaly_rate / (1 - self.eccentricity * cosine)
        x, y = self.semi_major_axis_m * (cosine - self.eccentricity), semi_minor_m * sine
        vx, vy = -self.semi_major_axis_m * sine * speed, semi_minor_m * cosine * speed

        # About the orbit's pole by the argument of perigee, then to the equator, then about its pole by the node.
        x, y, vx, vy = _turn(x, y, vx, vy, self.argument_of_perigee_rad + perigee_rate * time, perigee_rate)
        tilt, rise = np.cos(self.inclination_rad), np.sin(self.inclination_rad)
        z, vz = rise * y, rise * vy
        x, y, vx, vy = _turn(x, tilt * y, vx, tilt * vy, self.raan_rad + raan_rate * time, raan_rate)
        return np.stack([x, y, z], axis=-1), np.stack([vx, vy, vz], axis=-1)

    def osculating(self) -> KeplerOrbits:
        """The two-body orbits that touch these at the epoch: the short-period term of the axis added."""
        if not self.j2:
            return self
        return replace(self, semi_major_axis_m=self.semi_major_axis_m + _short_period_axis_m(self), j2=False)

    def advanced(self, elapsed_s: float) -> KeplerOrbits:
        """The same orbits with an epoch `elapsed_s` later, which may be negative."""
        raan_rate, perigee_rate, anomaly_rate = self._rates()
        return replace(
            self,
            epoch=times_after(self.epoch, np.asarray(elapsed_s)),
            raan_rad=self.raan_rad + raan_rate * elapsed_s,
            argument_of_perigee_rad=self.argument_of_perigee_rad + perigee_rate * elapsed_s,
            mean_anomaly_rad=self.mean_anomaly_rad + anomaly_rate * elapsed_s,
        )

    def _rates(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rates of node, argument of perigee and mean anomaly in rad/s, (S,) each."""
        if not self.j2:
            return np.zeros(self.num_satellites), np.zeros(self.num_satellites), self.mean_motion_radps
        return secular_rates_radps(self.semi_major_axis_m, self.eccentricity, self.inclination_rad)


_ELEMENTS = (
    "semi_major_axis_m",
    "eccentricity",
    "inclination_rad",
    "raan_rad",
    "argument_of_perigee_rad",
    "mean_anomaly_rad",
)


def secular_rates_radps(
    semi_major_axis_m: FloatArray, eccentricity: FloatArray, inclination_rad: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean rates of node, argument of perigee and mean anomaly under J2 (Vallado, eq. 9-38, 9-40 and 9-42).

    With k = (3/2) n J2 (R / p)^2: node -k cos i; perigee k (2 - (5/2) sin^2 i); anomaly
    n + k sqrt(1 - e^2) (1 - (3/2) sin^2 i). Arguments and results in any common shape; rates in rad/s.
    """
    mean_motion = np.sqrt(GRAVITY_M3PS2 / semi_major_axis_m**3)
    parameter_m = semi_major_axis_m * (1 - eccentricity**2)
    strength = 1.5 * mean_motion * J2 * (EQUATORIAL_RADIUS_M / parameter_m) ** 2
    sine_squared = np.sin(inclination_rad) ** 2
    return (
        -strength * np.cos(inclination_rad),
        strength * (2 - 2.5 * sine_squared),
        mean_motion + strength * np.sqrt(1 - eccentricity**2) * (1 - 1.5 * sine_squared),
    )


def solve_kepler(mean_anomaly_rad: FloatArray, eccentricity: FloatArray) -> FloatArray:
    """Eccentric anomaly E with E - e sin E = M, by Newton's method; the arguments broadcast.

    Args:
        mean_anomaly_rad: M, any number of turns.
        eccentricity: e in [0, 1).

    Returns:
        E in rad, on the same turn as M.
    """
    mean = np.asarray(mean_anomaly_rad)
    # From this start the iteration converges for every e < 1 (Danby, Fundamentals of Celestial Mechanics, 6.6).
    anomaly = mean + 0.85 * eccentricity * np.sign(np.sin(mean))
    for _ in range(50):
        step = (anomaly - eccentricity * np.sin(anomaly) - mean) / (1 - eccentricity * np.cos(anomaly))
        anomaly = anomaly - step
        if np.abs(step).max(initial=0.0) < 1e-11:
            break
    return anomaly


def orbits_from_states(
    epoch: Time | str, position_m: ArrayLike, velocity_mps: ArrayLike, *, j2: bool = KeplerOrbits.j2
) -> KeplerOrbits:
    """Orbits through given osculating states in TEME (Vallado, Algorithm 9).

    With `j2` the semi-major axis is made mean by its short-period term, so that the mean motion is right; the other
    elements stay osculating, a bounded error of some kilometres.

    Args:
        epoch: Time of the states.
        position_m: Positions, (S, 3).
        velocity_mps: Velocities, (S, 3).
        j2: As in `KeplerOrbits`.

    Raises:
        ValueError: If a shape does not fit or an orbit is not an ellipse clear of the Earth.
    """
    position = np.asarray(position_m, dtype=np.float64).reshape(-1, 3)
    velocity = np.asarray(velocity_mps, dtype=np.float64).reshape(-1, 3)
    radius = np.linalg.norm(position, axis=-1)
    momentum = np.cross(position, velocity)
    pole = momentum / np.linalg.norm(momentum, axis=-1, keepdims=True)

    # An equatorial orbit has no node: the x axis stands in for it.
    node = np.stack([-pole[:, 1], pole[:, 0], np.zeros(len(pole))], axis=-1)
    length = np.linalg.norm(node, axis=-1, keepdims=True)
    node = np.where(length > 1e-12, node / np.maximum(length, 1e-12), [1.0, 0.0, 0.0])
    ahead = np.cross(pole, node)

    axis = 1 / (2 / radius - (velocity**2).sum(axis=-1) / GRAVITY_M3PS2)
    towards_perigee = np.cross(velocity, momentum) / GRAVITY_M3PS2 - position / radius[:, None]
    eccentricity = np.linalg.norm(towards_perigee, axis=-1)
    if not ((axis > 0) & (eccentricity < 1)).all():
        raise ValueError(f"orbits must be ellipses, got eccentricity {eccentricity}")
    # A circular orbit has no perigee: its argument is 0.
    perigee = np.where(eccentricity > 1e-12, _angle(towards_perigee, node, ahead), 0.0)
    anomaly = _angle(position, node, ahead) - perigee
    eccentric = np.arctan2(np.sqrt(1 - eccentricity**2) * np.sin(anomaly), eccentricity + np.cos(anomaly))
    orbits = KeplerOrbits(
        epoch=make_epoch(epoch),
        semi_major_axis_m=axis,
        eccentricity=eccentricity,
        inclination_rad=np.arccos(np.clip(pole[:, 2], -1.0, 1.0)),
        raan_rad=np.arctan2(node[:, 1], node[:, 0]),
        argument_of_perigee_rad=perigee,
        mean_anomaly_rad=eccentric - eccentricity * np.sin(eccentric),
        j2=j2,
    )
    return replace(orbits, semi_major_axis_m=axis - _short_period_axis_m(orbits)) if j2 else orbits


def orbits_from_boinor(orbits: Sequence[Orbit], *, j2: bool = KeplerOrbits.j2) -> KeplerOrbits:
    """The orbits of a list of `boinor` orbits about the Earth, all of one epoch.

    `boinor`'s states are in GCRS; they are turned to TEME of the epoch and read as osculating (`orbits_from_states`).

    Raises:
        ValueError: If the list is empty, an attractor is not the Earth, or the epochs differ.
    """
    if not orbits:
        raise ValueError("a constellation needs at least one satellite, got no orbits")
    epoch = orbits[0].epoch
    for index, orbit in enumerate(orbits):
        if orbit.attractor.name != "Earth":
            raise ValueError(f"orbits[{index}] must be about the Earth, got {orbit.attractor.name}")
        if abs((orbit.epoch - epoch).sec) > 1e-6:
            raise ValueError(f"orbits[{index}] must have the epoch of the first, {epoch.isot}, got {orbit.epoch.isot}")
    epoch = make_epoch(epoch)
    turn = gcrs_to_teme(epoch).T
    position = np.array([orbit.r.to_value("m") for orbit in orbits]) @ turn
    velocity = np.array([orbit.v.to_value("m / s") for orbit in orbits]) @ turn
    return orbits_from_states(epoch, position, velocity, j2=j2)


def _short_period_axis_m(orbits: KeplerOrbits) -> FloatArray:
    """Osculating less mean semi-major axis at the epoch, to first order in J2 (Brouwer 1959), (S,).

    (J2 R^2 / a) ((a / r)^3 (1 - (3/2) sin^2 i (1 - cos 2u)) - (1 - (3/2) sin^2 i) (1 - e^2)^(-3/2)), u the argument
    of latitude.
    """
    axis, eccentricity = orbits.semi_major_axis_m, orbits.eccentricity
    eccentric = solve_kepler(orbits.mean_anomaly_rad, eccentricity)
    anomaly = np.arctan2(np.sqrt(1 - eccentricity**2) * np.sin(eccentric), np.cos(eccentric) - eccentricity)
    latitude = orbits.argument_of_perigee_rad + anomaly
    inverse_radius = 1 / (1 - eccentricity * np.cos(eccentric))
    oblate = 1.5 * np.sin(orbits.inclination_rad) ** 2
    here = inverse_radius**3 * (1 - oblate * (1 - np.cos(2 * latitude)))
    return np.asarray(J2 * EQUATORIAL_RADIUS_M**2 / axis * (here - (1 - oblate) * (1 - eccentricity**2) ** -1.5))


def _turn(
    x: FloatArray, y: FloatArray, vx: FloatArray, vy: FloatArray, angle: FloatArray, rate: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """A plane motion seen from axes that lie `angle` back and turn at `rate`."""
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y, vx, vy = cosine * x - sine * y, sine * x + cosine * y, cosine * vx - sine * vy, sine * vx + cosine * vy
    return x, y, vx - rate * y, vy + rate * x


def _angle(vector: FloatArray, node: FloatArray, ahead: FloatArray) -> FloatArray:
    """Angle of each vector in its orbit's plane, from the node in the sense of motion."""
    return np.asarray(np.arctan2((vector * ahead).sum(axis=-1), (vector * node).sum(axis=-1)))
