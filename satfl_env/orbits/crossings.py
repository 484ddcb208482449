"""When satellites come into a gateway's sight and leave it, and when they stand highest, between grid times.

A grid alone misses a pass that rises and sets between two of its times. How far the clearance can rise in between is
bounded by its curvature, so only intervals with a small clearance at an end can hide one, and those are searched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.hermite import motion_between
from satfl_env.orbits.propagation import States
from satfl_env.orbits.segments import Segment
from satfl_env.orbits.sights import Sight

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class Grid(NamedTuple):
    """States of satellites and clearances of pairs at evenly spaced times.

    Attributes:
        time_s: (T,).
        position_m: In ITRS, (T, S, 3).
        velocity_mps: In ITRS, (T, S, 3).
        gateways: Positions and velocities of the gateways, (T, G, 3) each.
        satellite: Satellite of each pair, (P,).
        gateway: Gateway of each pair, (P,).
        clearance_m: As of `Segment.clearances_m`, (T, P).
    """

    time_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    gateways: States
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


def events_between(grid: Grid, segment: Segment, curvature_mps2: FloatArray) -> Events:
    """Rises, sets and culminations between the times of a grid.

    Args:
        grid: States and clearances; steps of two minutes at most keep its interpolation right to a few metres.
        segment: The gateways.
        curvature_mps2: As of `Segment.curvature_bound_mps2`.

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
    sight = _sight(grid, segment, interval, pair, step_s)
    start_s = grid.time_s[interval]

    crosses = np.flatnonzero(before != after)
    crossing = _roots(sight, crosses, "clearance_m")

    # Both ends on one side, but on its way to the other and back: two crossings, before and after the turn.
    side = np.where(before, 1.0, -1.0)
    returns = (before == after) & (side * sight.clearance_rate(0.0) < 0) & (side * sight.clearance_rate(1.0) > 0)
    grazes = np.flatnonzero(returns)
    turn = _roots(sight, grazes, "clearance_rate")
    beyond = side[grazes] * sight.take(grazes).clearance_m(turn) < 0
    grazes, turn = grazes[beyond], turn[beyond]
    out = _roots(sight, grazes, "clearance_m", high=turn)
    back = _roots(sight, grazes, "clearance_m", low=turn)

    row = np.concatenate([crosses, grazes, grazes])
    time_s = start_s[row] + step_s * np.concatenate([crossing, out, back])
    rising = np.concatenate([after[crosses], ~before[grazes], before[grazes]])

    peaks = np.flatnonzero((sight.elevation_rate(0.0) > 0) & (sight.elevation_rate(1.0) <= 0))
    top = _roots(sight, peaks, "elevation_rate")
    highest = sight.take(peaks)
    sine, seen = highest.sine_elevation(top), highest.in_sight(top)
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


def _sight(grid: Grid, segment: Segment, interval: IntArray, pair: IntArray, step_s: float) -> Sight:
    satellite = grid.satellite[pair]
    motion = motion_between(
        (grid.position_m[interval, satellite], grid.position_m[interval + 1, satellite]),
        (grid.velocity_mps[interval, satellite], grid.velocity_mps[interval + 1, satellite]),
        step_s,
    )
    return segment.sight(motion, grid.gateways, interval, grid.gateway[pair])


def _roots(
    sight: Sight,
    rows: IntArray,
    quantity: Literal["clearance_m", "clearance_rate", "elevation_rate"],
    *,
    low: FloatArray | float = 0.0,
    high: FloatArray | float = 1.0,
) -> FloatArray:
    """Where a quantity of the chosen rows is 0, as fractions of their intervals."""
    function: Callable[[FloatArray], FloatArray] = getattr(sight.take(rows), quantity)
    ends = (np.broadcast_to(end, rows.shape) for end in (low, high))
    return bracketed_root(function, *ends)
