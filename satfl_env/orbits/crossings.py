"""When satellites cross a gateway's cone of minimum elevation, and when they stand highest, between grid times.

A grid alone misses a pass that rises and sets between two of its times. How far the clearance can rise in between is
bounded by its curvature, so only intervals with a small clearance at an end can hide one, and those are searched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.earth import GRAVITY_M3PS2, ROTATION_RADPS
from satfl_env.orbits.gateways import GroundSegment
from satfl_env.orbits.hermite import Motion, motion_between
from satfl_env.orbits.propagation import Orbits

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class Grid(NamedTuple):
    """States of satellites and clearances of pairs at evenly spaced times.

    Attributes:
        time_s: (T,).
        position_m: In ITRS, (T, S, 3).
        velocity_mps: In ITRS, (T, S, 3).
        satellite: Satellite of each pair, (P,).
        gateway: Gateway of each pair, (P,).
        clearance_m: As of `GroundSegment.clearance_m`, (T, P).
    """

    time_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    satellite: IntArray
    gateway: IntArray
    clearance_m: FloatArray


class Events(NamedTuple):
    """What happens between the times of a grid, in no particular order.

    Attributes:
        rise_pair: Pair that comes into sight, (R,).
        rise_s: When, (R,).
        set_pair: Pair that goes out of sight, (Q,).
        set_s: When, (Q,).
        peak_pair: Pair whose satellite culminates while in sight, (K,).
        peak_s: When, (K,).
        peak_sine: Sine of the elevation then, (K,).
    """

    rise_pair: IntArray
    rise_s: FloatArray
    set_pair: IntArray
    set_s: FloatArray
    peak_pair: IntArray
    peak_s: FloatArray
    peak_sine: FloatArray


def curvature_bound_mps2(orbits: Orbits, ground: GroundSegment) -> FloatArray:
    """Upper bound of the second derivative of the clearance at each gateway, (G,).

    With a the Earth-fixed acceleration, v the speed and d the shortest range: a (1 + |sin E|) + |sin E| v^2 / d.
    """
    speed = orbits.max_speed_mps + ROTATION_RADPS * orbits.max_radius_m
    # One percent covers what the Earth's oblateness adds to its central attraction.
    gravity = 1.01 * GRAVITY_M3PS2 / orbits.min_radius_m**2
    acceleration = gravity + 2 * ROTATION_RADPS * speed + ROTATION_RADPS**2 * orbits.max_radius_m
    nearest = np.maximum(orbits.min_radius_m - np.linalg.norm(ground.position_m, axis=-1), 1e3)
    return np.asarray(acceleration + np.abs(ground.sine_min_elevation) * (acceleration + speed**2 / nearest))


def events_between(grid: Grid, ground: GroundSegment, curvature_mps2: FloatArray) -> Events:
    """Rises, sets and culminations between the times of a grid.

    Args:
        grid: States and clearances; steps of two minutes at most keep its interpolation right to a few metres.
        ground: The gateways.
        curvature_mps2: As of `curvature_bound_mps2`.

    Returns:
        The events, to a microsecond of the interpolated motion.
    """
    step_s = grid.time_s[1] - grid.time_s[0]
    visible = grid.clearance_m > 0
    # Half a step away from the nearer end, where the clearance is level, it differs by at most c (step / 2)^2 / 2.
    near = np.abs(grid.clearance_m) < (curvature_mps2 * step_s**2 / 8)[grid.gateway]
    active = visible[1:] | visible[:-1] | near[1:] | near[:-1]
    interval, pair = np.nonzero(active)
    before, after = visible[interval, pair], visible[interval + 1, pair]
    sight = _sight(grid, ground, interval, pair, step_s)
    start_s = grid.time_s[interval]

    crosses = np.flatnonzero(before != after)
    crossing = _roots(sight, crosses, _Sight.clearance_m)

    # Both ends on one side, but on its way to the other and back: two crossings, before and after the turn.
    side = np.where(before, 1.0, -1.0)
    returns = (before == after) & (side * sight.clearance_rate(0.0) < 0) & (side * sight.clearance_rate(1.0) > 0)
    grazes = np.flatnonzero(returns)
    turn = _roots(sight, grazes, _Sight.clearance_rate)
    beyond = side[grazes] * sight.take(grazes).clearance_m(turn) < 0
    grazes, turn = grazes[beyond], turn[beyond]
    out = _roots(sight, grazes, _Sight.clearance_m, high=turn)
    back = _roots(sight, grazes, _Sight.clearance_m, low=turn)

    row = np.concatenate([crosses, grazes, grazes])
    time_s = start_s[row] + step_s * np.concatenate([crossing, out, back])
    rising = np.concatenate([after[crosses], ~before[grazes], before[grazes]])

    peaks = np.flatnonzero((sight.elevation_rate(0.0) > 0) & (sight.elevation_rate(1.0) <= 0))
    top = _roots(sight, peaks, _Sight.elevation_rate)
    sine = sight.take(peaks).sine_elevation(top)
    seen = sine > sight.sine_min_elevation[peaks]
    return Events(
        rise_pair=pair[row[rising]],
        rise_s=time_s[rising],
        set_pair=pair[row[~rising]],
        set_s=time_s[~rising],
        peak_pair=pair[peaks[seen]],
        peak_s=(start_s[peaks] + step_s * top)[seen],
        peak_sine=sine[seen],
    )


def bracketed_root(function: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Roots of N functions at once, each bracketed by a change of sign, to 1e-8 (regula falsi, Illinois variant).

    Args:
        function: Values at one argument each, (N,) to (N,).
        low: Lower ends, (N,).
        high: Upper ends, (N,).

    Returns:
        The roots, (N,), within their brackets.
    """
    lowest, highest = low, high
    f_low, f_high = function(low), function(high)
    for _ in range(60):
        slope = f_high - f_low
        step = np.divide(f_high * (high - low), slope, out=np.zeros_like(high), where=slope != 0)
        middle = np.clip(high - step, lowest, highest)
        if np.abs(middle - high).max(initial=0.0) < 1e-8:
            return middle
        f_middle = function(middle)
        flips = f_middle * f_high <= 0
        low, f_low = np.where(flips, high, low), np.where(flips, f_high, f_low / 2)
        high, f_high = middle, f_middle
    return high


class _Sight(NamedTuple):
    """The line of sight of N pairs over one interval each; `x` is the fraction of the interval."""

    motion: Motion
    gateway_position_m: FloatArray
    up: FloatArray
    sine_min_elevation: FloatArray

    def take(self, rows: IntArray) -> _Sight:
        motion = self.motion._replace(coefficient_m=self.motion.coefficient_m[:, rows])
        return _Sight(motion, self.gateway_position_m[rows], self.up[rows], self.sine_min_elevation[rows])

    def clearance_m(self, x: FloatArray | float) -> FloatArray:
        height, _, distance, _ = self._parts(x)
        return height - distance * self.sine_min_elevation

    def clearance_rate(self, x: FloatArray | float) -> FloatArray:
        _, climb, distance, closing = self._parts(x)
        return climb - closing / distance * self.sine_min_elevation

    def sine_elevation(self, x: FloatArray | float) -> FloatArray:
        height, _, distance, _ = self._parts(x)
        return height / distance

    def elevation_rate(self, x: FloatArray | float) -> FloatArray:
        """Rate of the sine of the elevation, times the cube of the distance: only its sign counts."""
        height, climb, distance, closing = self._parts(x)
        return climb * distance**2 - height * closing

    def _parts(self, x: FloatArray | float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Height above the gateway's horizontal plane, its rate, the distance, and distance times its rate."""
        position, velocity = self.motion.at(np.broadcast_to(x, self.sine_min_elevation.shape))
        sight = position - self.gateway_position_m
        distance = np.sqrt(_dot(sight, sight))
        return _dot(sight, self.up), _dot(velocity, self.up), distance, _dot(sight, velocity)


def _sight(grid: Grid, ground: GroundSegment, interval: IntArray, pair: IntArray, step_s: float) -> _Sight:
    satellite, gateway = grid.satellite[pair], grid.gateway[pair]
    motion = motion_between(
        (grid.position_m[interval, satellite], grid.position_m[interval + 1, satellite]),
        (grid.velocity_mps[interval, satellite], grid.velocity_mps[interval + 1, satellite]),
        step_s,
    )
    return _Sight(motion, ground.position_m[gateway], ground.up[gateway], ground.sine_min_elevation[gateway])


def _roots(
    sight: _Sight,
    rows: IntArray,
    function: Callable[[_Sight, FloatArray], FloatArray],
    *,
    low: FloatArray | float = 0.0,
    high: FloatArray | float = 1.0,
) -> FloatArray:
    """Where a function of the chosen rows is 0, as fractions of their intervals."""
    chosen = sight.take(rows)
    ends = (np.broadcast_to(end, rows.shape) for end in (low, high))
    return bracketed_root(lambda x: function(chosen, x), *ends)


def _dot(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ni,ni->n", first, second))
