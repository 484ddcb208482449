"""Satellites on circles in a plane above flat ground (SemSpaceFL's scene): positions and windows in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from satfl_env.orbits.intervals import Intervals, no_intervals
from satfl_env.orbits.scene import SceneSnapshot

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_Arcs = tuple[FloatArray, FloatArray, BoolArray]


def uniform_phases(num_satellites: int, rng: np.random.Generator) -> FloatArray:
    """Independent phases in [0, 2 pi) rad, uniform along the circle, shape (num_satellites,)."""
    return rng.uniform(0.0, 2 * np.pi, num_satellites)


def remaining_window_s(
    phase_rad: FloatArray,
    circle_radius_m: FloatArray,
    gateway_offset_m: FloatArray,
    *,
    coverage_radius_m: float,
    speed_mps: float,
) -> FloatArray:
    r"""Remaining contact window $T = d / v$: the arc still to fly inside a gateway's disc, over the speed.

    SemSpaceFL, eq. 7. Satellites fly counter-clockwise on circles about the origin.

    Args:
        phase_rad: Angle of each satellite on its circle, (S,).
        circle_radius_m: Radius of each satellite's circle, positive, (S,).
        gateway_offset_m: Gateways relative to the circles' centre, (G, 2).
        coverage_radius_m: Horizontal radius of every gateway's coverage; may be infinite.
        speed_mps: Speed along the circle, positive.

    Returns:
        Windows in s, (S, G): 0 outside the disc, infinite where the disc holds the whole circle.
    """
    arcs = _covered_arcs(circle_radius_m, gateway_offset_m, coverage_radius_m)
    return _windows_s(phase_rad, circle_radius_m, arcs, speed_mps)


def _windows_s(phase_rad: FloatArray, circle_radius_m: FloatArray, arcs: _Arcs, speed_mps: float) -> FloatArray:
    """Remaining windows of eq. 7, (S, G), from the arcs that gateways cover; see `remaining_window_s`."""
    bearing, half_arc, always = arcs
    to_exit = np.mod(bearing + half_arc - phase_rad[:, None], 2 * np.pi)
    window = np.where(to_exit <= 2 * half_arc, to_exit * circle_radius_m[:, None] / speed_mps, 0.0)
    return np.where(always, np.inf, window)


def _covered_arcs(circle_radius_m: FloatArray, gateway_offset_m: FloatArray, coverage_radius_m: float) -> _Arcs:
    """Middle (G,) and half length (S, G), in rad, of the arc of each circle in each disc, and whether all is in it."""
    radius = circle_radius_m[:, None]
    offset = np.hypot(gateway_offset_m[:, 0], gateway_offset_m[:, 1])
    bearing = np.arctan2(gateway_offset_m[:, 1], gateway_offset_m[:, 0])
    # Law of cosines in the triangle of centre, gateway and crossing; a gateway under the centre has no triangle.
    cosine = (radius**2 + offset**2 - coverage_radius_m**2) / np.maximum(2 * radius * offset, 1e-9)
    return bearing, np.arccos(np.clip(cosine, -1.0, 1.0)), coverage_radius_m >= radius + offset


class PlanarScene:
    """Satellites that fly counter-clockwise on circles `altitude_m` above the plane of the gateways.

    Coverage is a horizontal disc about each gateway. Coordinates: x, y in the ground plane, z up.

    Args:
        circle_radius_m: Radius of each satellite's circle, positive, (S,).
        phase_rad: Angle of each satellite at time 0, (S,).
        gateway_m: Gateways in the ground plane, (G, 2).
        centre_m: Common centre of the circles, (2,).
        speed_mps: Speed along the circle, positive.
        altitude_m: Height of the satellites' plane, positive.
        coverage_radius_m: Horizontal radius of coverage, positive; may be infinite.
        horizon_s: Longest window reported, positive; the longest orbital period if None. A satellite that never leaves
            a gateway's coverage always has this window.

    Raises:
        ValueError: If a shape does not fit or a value is out of its range.
    """

    def __init__(
        self,
        *,
        circle_radius_m: ArrayLike,
        phase_rad: ArrayLike,
        gateway_m: ArrayLike,
        centre_m: ArrayLike,
        speed_mps: float,
        altitude_m: float,
        coverage_radius_m: float,
        horizon_s: float | None = None,
    ) -> None:
        self.circle_radius_m = _fixed(circle_radius_m)
        self.phase_rad = _fixed(phase_rad)
        self.gateway_m = _fixed(gateway_m)
        self.centre_m = _fixed(centre_m)
        self.speed_mps = speed_mps
        self.altitude_m = altitude_m
        self.coverage_radius_m = coverage_radius_m
        self._check()
        self._arcs = _covered_arcs(self.circle_radius_m, self.gateway_m - self.centre_m, coverage_radius_m)
        self._gateway_position_m = _fixed(np.column_stack([self.gateway_m, np.zeros(self.num_gateways)]))
        period_s = 2 * np.pi * self.circle_radius_m / speed_mps
        self.horizon_s = float(period_s.max()) if horizon_s is None else horizon_s
        _check_positive("horizon_s", self.horizon_s)

    def _check(self) -> None:
        _check_shape("circle_radius_m", self.circle_radius_m, (max(self.circle_radius_m.size, 1),))
        _check_shape("phase_rad", self.phase_rad, self.circle_radius_m.shape)
        _check_shape("gateway_m", self.gateway_m, (max(self.gateway_m.size // 2, 1), 2))
        _check_shape("centre_m", self.centre_m, (2,))
        for name in ("circle_radius_m", "phase_rad", "gateway_m", "centre_m", "speed_mps", "altitude_m"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}")
        for name in ("circle_radius_m", "speed_mps", "altitude_m", "coverage_radius_m"):
            _check_positive(name, getattr(self, name))

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return len(self.circle_radius_m)

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateway_m)

    @property
    def min_distance_m(self) -> float:
        """Shortest slant range that can occur."""
        return float(np.hypot(np.abs(self.circle_radius_m[:, None] - self._offset_m()), self.altitude_m).min())

    @property
    def max_distance_m(self) -> float:
        """Longest slant range that can occur."""
        return float(np.hypot(self.circle_radius_m[:, None] + self._offset_m(), self.altitude_m).max())

    @property
    def max_position_m(self) -> float:
        """Upper bound of the absolute value of every satellite coordinate."""
        return max(float(np.abs(self.centre_m).max() + self.circle_radius_m.max()), self.altitude_m)

    @property
    def max_speed_mps(self) -> float:
        """Speed of every satellite."""
        return self.speed_mps

    def at(self, time_s: float) -> SceneSnapshot:
        """The geometry `time_s` seconds after the start."""
        phase = self.phase_rad + self.speed_mps / self.circle_radius_m * time_s
        cosine, sine = np.cos(phase), np.sin(phase)
        position = self._places_m(cosine, sine)
        velocity = np.zeros((self.num_satellites, 3))
        velocity[:, 0] = -self.speed_mps * sine
        velocity[:, 1] = self.speed_mps * cosine
        window = _windows_s(phase, self.circle_radius_m, self._arcs, self.speed_mps)
        sight = position[:, None] - self._gateway_position_m
        return SceneSnapshot(
            time_s=time_s,
            position_m=position,
            velocity_mps=velocity,
            gateway_position_m=self._gateway_position_m,
            distance_m=np.sqrt((sight * sight).sum(axis=-1)),
            visible=window > 0,
            window_s=np.minimum(window, self.horizon_s),
        )

    def contacts(self, start_s: float, end_s: float) -> Intervals:
        """All contacts between two times, of rows satellite times G plus gateway; cut where the span begins and ends.

        The k-th begins at (beta - alpha - phase + 2 pi k) r / v and lasts 2 alpha r / v, where the disc covers the arc
        of half length alpha about the bearing beta of the gateway (from SemSpaceFL, eq. 7).
        """
        bearing, half_arc, always = self._arcs
        radian_s = self.circle_radius_m[:, None] / self.speed_mps
        turn_s = 2 * np.pi * radian_s
        entry_s = np.mod(bearing - half_arc - self.phase_rad[:, None], 2 * np.pi) * radian_s
        length_s = 2 * half_arc * radian_s
        first = np.floor((start_s - entry_s - length_s) / turn_s) + 1
        last = np.ceil((end_s - entry_s) / turn_s) - 1
        count = np.where(always | (length_s == 0), 0, last - first + 1).astype(np.int64).ravel()
        row = np.repeat(np.arange(count.size), count)
        number = first.ravel()[row] + np.arange(len(row)) - (np.cumsum(count) - count)[row]
        begins_s = entry_s.ravel()[row] + number * turn_s[row // self.num_gateways, 0]
        ends_s = begins_s + length_s.ravel()[row]
        throughout = np.flatnonzero(always)
        return Intervals(
            np.r_[row, throughout],
            np.r_[np.maximum(begins_s, start_s), np.full(len(throughout), start_s)],
            np.r_[np.minimum(ends_s, end_s), np.full(len(throughout), end_s)],
        )

    def eclipses(self, start_s: float, end_s: float) -> Intervals:
        """There is no night."""
        return no_intervals()

    def positions_m(self, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions of satellites, (T, S, 3), and of gateways, (T, G, 3), at some times (T,) after the start."""
        phase = self.phase_rad + self.speed_mps / self.circle_radius_m * time_s[:, None]
        gateways_m = self._gateway_position_m
        return self._places_m(np.cos(phase), np.sin(phase)), np.broadcast_to(
            gateways_m, (len(time_s), *gateways_m.shape)
        )

    def sunlit_s(self, start_s: float, end_s: float) -> FloatArray:
        """Seconds of sunlight of each satellite between two times: all of it, since there is no night; (S,)."""
        return np.full(self.num_satellites, end_s - start_s)

    def _places_m(self, cosine: FloatArray, sine: FloatArray) -> FloatArray:
        """Positions of satellites from their angles, (..., S) -> (..., S, 3)."""
        position = np.empty((*cosine.shape, 3))
        position[..., 0] = self.centre_m[0] + self.circle_radius_m * cosine
        position[..., 1] = self.centre_m[1] + self.circle_radius_m * sine
        position[..., 2] = self.altitude_m
        return position

    def _offset_m(self) -> FloatArray:
        """Horizontal distance of each gateway from the circles' centre, (G,)."""
        return np.asarray(np.linalg.norm(self.gateway_m - self.centre_m, axis=-1))


def _fixed(values: ArrayLike) -> FloatArray:
    """A copy that cannot change, since arcs follow from it."""
    copy = np.array(values, dtype=np.float64)
    copy.setflags(write=False)
    return copy


def _check_shape(name: str, value: FloatArray, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {value.shape}")


def _check_positive(name: str, value: FloatArray | float) -> None:
    if not (np.asarray(value) > 0).all():
        raise ValueError(f"{name} must be positive, got {value}")
