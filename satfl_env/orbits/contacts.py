"""Contact windows: when each gateway sees each satellite, and how high it climbs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.crossings import Events, Grid, events_between
from satfl_env.orbits.frames import earth_fixed, teme_to_itrs
from satfl_env.orbits.gateways import Gateway
from satfl_env.orbits.propagation import Orbits, earth_fixed_states
from satfl_env.orbits.segments import Segment, segments
from satfl_env.orbits.space_gateways import SpaceGateway

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

MAX_STEP_S = 120.0
DEFAULT_STEP_S = 60.0
# Values of satellites and pairs held at a time: more would need memory, fewer would cost time in calls.
_CHUNK = 1_000_000


@dataclass(frozen=True, eq=False)
class ContactWindows:
    """All contact windows of a span, sorted by satellite, gateway and rise.

    A window open at an end of the span is cut there. Times are in s after the orbits' epoch.

    Attributes:
        num_satellites: S.
        num_gateways: G.
        start_s: Start of the span.
        end_s: End of the span.
        satellite: Satellite of each window, (N,).
        gateway: Gateway of each window, (N,).
        rise_s: Its start, (N,).
        set_s: Its end, (N,).
        peak_s: When the satellite stands highest, (N,); under a gateway in orbit, when that does.
        peak_elevation_deg: The elevation then, of the higher of the two as the lower one sees it, (N,).
    """

    num_satellites: int
    num_gateways: int
    start_s: float
    end_s: float
    satellite: IntArray
    gateway: IntArray
    rise_s: FloatArray
    set_s: FloatArray
    peak_s: FloatArray
    peak_elevation_deg: FloatArray

    @property
    def duration_s(self) -> FloatArray:
        """Length of each window, (N,)."""
        return self.set_s - self.rise_s

    def remaining_s(self, time_s: float) -> FloatArray:
        """Remaining window of every pair at an instant of the span, (S, G); 0 where out of sight.

        Raises:
            ValueError: If the instant lies outside the span.
        """
        self._check(time_s)
        window = np.zeros((self.num_satellites, self.num_gateways))
        still_open = (self.rise_s <= time_s) & (time_s < self.set_s)
        window[self.satellite[still_open], self.gateway[still_open]] = self.set_s[still_open] - time_s
        return window

    def next_window_s(self, time_s: float) -> tuple[FloatArray, FloatArray]:
        """Start and end of every pair's first window that opens after an instant of the span.

        Returns:
            Times in s, (S, G) each; infinite where no window opens within the span.

        Raises:
            ValueError: If the instant lies outside the span.
        """
        self._check(time_s)
        shape = (self.num_satellites, self.num_gateways)
        rise, fall = np.full(shape, np.inf), np.full(shape, np.inf)
        # From the last to the first, so that the first of each pair stays.
        later = np.flatnonzero(self.rise_s > time_s)[::-1]
        pair = (self.satellite[later], self.gateway[later])
        rise[pair], fall[pair] = self.rise_s[later], self.set_s[later]
        return rise, fall

    def until(self, end_s: FloatArray) -> ContactWindows:
        """The windows of satellites that are in orbit up to a time each, (S,); infinite keeps all of a satellite's.

        A window that is cut keeps the peak of the whole.
        """
        end = end_s[self.satellite]
        kept = self.rise_s < end
        names = ("satellite", "gateway", "rise_s", "peak_s", "peak_elevation_deg")
        of_windows = {name: getattr(self, name)[kept] for name in names}
        return replace(self, **of_windows, set_s=np.minimum(self.set_s, end)[kept])

    def _check(self, time_s: float) -> None:
        if not self.start_s <= time_s <= self.end_s:
            raise ValueError(f"time_s must lie in the span {self.start_s}..{self.end_s}, got {time_s}")


def contact_windows(
    orbits: Orbits,
    gateways: Sequence[Gateway | SpaceGateway],
    start_s: float,
    end_s: float,
    *,
    step_s: float = DEFAULT_STEP_S,
) -> ContactWindows:
    """Contact windows of all pairs over a span.

    Args:
        orbits: The satellites.
        gateways: The gateways that see them.
        start_s: Start of the span, in s after the orbits' epoch.
        end_s: Its end, later.
        step_s: Step of the search in (0, 120]; no window is missed, and times are right to some milliseconds.

    Raises:
        ValueError: If there is no gateway or a value is out of its range.
    """
    if not (np.isfinite(start_s) and np.isfinite(end_s) and start_s < end_s):
        raise ValueError(f"end_s must be later than start_s {start_s}, both finite, got {end_s}")
    _check_step(step_s)
    num_steps = max(int(np.ceil((end_s - start_s) / step_s)), 1)
    time_s = np.linspace(start_s, end_s, num_steps + 1)
    parts = segments(gateways, orbits.epoch)
    windows = [_windows_of_segment(orbits, segment, time_s) for _, segment in parts]
    return windows[0] if len(windows) == 1 else _joined(windows, [which for which, _ in parts])


def _windows_of_segment(orbits: Orbits, segment: Segment, time_s: FloatArray) -> ContactWindows:
    """Contact windows between the times of a grid, (T,)."""
    curvature = segment.curvature_bound_mps2(orbits)
    events: list[Events] = []
    for grid in _grids(orbits, segment, time_s):
        if not events:
            events.append(_open_at(grid, segment, 0))
        events.append(events_between(grid, segment, curvature))
    last = _open_at(grid, segment, -1)
    events.append(last._replace(rise_pair=last.set_pair[:0], rise_s=last.set_s[:0]))
    events[0] = events[0]._replace(set_pair=last.set_pair[:0], set_s=last.set_s[:0])
    return _windows(orbits.num_satellites, segment, float(time_s[0]), float(time_s[-1]), events)


def _joined(windows: Sequence[ContactWindows], which: Sequence[IntArray]) -> ContactWindows:
    """The windows of several segments, from the numbers of their gateways in the scene."""
    gateway = np.concatenate([own[it.gateway] for own, it in zip(which, windows, strict=True)])
    names = ("satellite", "rise_s", "set_s", "peak_s", "peak_elevation_deg")
    fields = {name: np.concatenate([getattr(it, name) for it in windows]) for name in names}
    order = np.lexsort((fields["rise_s"], gateway, fields["satellite"]))
    in_order: dict[str, Any] = {name: value[order] for name, value in fields.items()}
    return replace(windows[0], num_gateways=sum(map(len, which)), gateway=gateway[order], **in_order)


def states_and_windows(
    orbits: Orbits, segment: Segment, time_s: float, horizon_s: float, *, step_s: float = DEFAULT_STEP_S
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The Earth-fixed states at an instant, and the remaining window of every pair.

    The pairs in sight are followed until they set; nothing is kept from one call to the next.

    Args:
        orbits: The satellites.
        segment: The gateways.
        time_s: The instant, in s after the orbits' epoch.
        horizon_s: Longest window reported, positive.
        step_s: As in `contact_windows`.

    Returns:
        Positions (S, 3) and velocities (S, 3) in ITRS, in m and m/s; windows in s, (S, G), 0 where out of sight.
    """
    curvature = segment.curvature_bound_mps2(orbits)
    steps_s = step_s * np.arange(segment.march_steps + 1, dtype=np.float64)
    time = time_s + steps_s
    position, velocity = earth_fixed_states(orbits, time)
    now, gateways = (position[0], velocity[0]), segment.states(time)
    in_sight = segment.clearances_m(position[:1], gateways[0][:1])[0] > 0
    window = np.where(in_sight, horizon_s, 0.0)
    satellite, gateway = np.nonzero(in_sight)
    while len(satellite):
        up, row = np.unique(satellite, return_inverse=True)
        height = segment.clearances_m(position[:, up], gateways[0])
        grid = Grid(time, position, velocity, gateways, satellite, gateway, height[:, row, gateway])
        events = events_between(grid, segment, curvature)
        np.minimum.at(window, (satellite[events.set_pair], gateway[events.set_pair]), events.set_s - time_s)
        still_up = np.ones(len(satellite), dtype=bool)
        still_up[events.set_pair] = False
        satellite, gateway = satellite[still_up], gateway[still_up]
        # Most have set within the first piece: then no further states are needed.
        if not len(satellite) or time[-1] >= time_s + horizon_s:
            break
        time = time[-1] + steps_s
        position, velocity = earth_fixed_states(orbits, time)
        gateways = segment.states(time)
    return *now, window


def _check_step(step_s: float) -> None:
    if not 0 < step_s <= MAX_STEP_S:
        raise ValueError(f"step_s must lie in (0, {MAX_STEP_S:g}], got {step_s}")


def _grids(orbits: Orbits, segment: Segment, time_s: FloatArray) -> Iterator[Grid]:
    """The states and clearances of all pairs, in pieces that share their border times."""
    num_satellites, num_gateways = orbits.num_satellites, len(segment.sine_min_elevation)
    satellite = np.repeat(np.arange(num_satellites), num_gateways)
    gateway = np.tile(np.arange(num_gateways), num_satellites)
    rotation = teme_to_itrs(orbits.epoch, time_s)
    # While it is computed, a state takes about as much memory as ten pairs.
    length = max(_CHUNK // (num_satellites * (num_gateways + 10)), 1)
    for first in range(0, len(time_s) - 1, length):
        piece = slice(first, first + length + 1)
        position, velocity = earth_fixed(rotation[piece], *orbits.states(time_s[piece]))
        gateways = segment.states(time_s[piece])
        clearance = segment.clearances_m(position, gateways[0]).reshape(len(position), -1)
        yield Grid(time_s[piece], position, velocity, gateways, satellite, gateway, clearance)


def _open_at(grid: Grid, segment: Segment, index: int) -> Events:
    """The pairs in sight at one time of a grid, as if they rose, culminated and set there."""
    pair = np.flatnonzero(grid.clearance_m[index] > 0)
    time_s = np.full(len(pair), grid.time_s[index])
    satellite, gateway = grid.satellite[pair], grid.gateway[pair]
    sine = segment.sine_elevation(grid.position_m[index, satellite], grid.gateways[0][index, gateway], gateway)
    return Events(pair, time_s, pair, time_s, pair, time_s, sine)


def _windows(
    num_satellites: int, segment: Segment, start_s: float, end_s: float, events: Sequence[Events]
) -> ContactWindows:
    """Match rises, sets and culminations: of each pair, the k-th rise belongs to the k-th set."""
    rise_pair, rise_s, set_pair, set_s, peak_pair, peak_s, peak_sine = map(np.concatenate, zip(*events, strict=True))
    order = np.lexsort((rise_s, rise_pair))
    pair, rise_s = rise_pair[order], rise_s[order]
    set_s = set_s[np.lexsort((set_s, set_pair))]

    # A culmination belongs to the last window of its pair that rose before it; of several the highest counts.
    merged = np.lexsort((np.repeat([0, 1], [len(pair), len(peak_pair)]), np.r_[rise_s, peak_s], np.r_[pair, peak_pair]))
    window = np.empty(len(merged), dtype=np.int64)
    window[merged] = np.cumsum(merged < len(pair)) - 1
    window = window[len(pair) :]
    ascending = np.argsort(peak_sine, kind="stable")
    ascending = ascending[pair[window[ascending]] == peak_pair[ascending]]
    # Where a pass only grazes the cone, rounding may leave no culmination: then it is low throughout.
    best_s, best_sine = rise_s.copy(), segment.sine_min_elevation[pair % len(segment.sine_min_elevation)]
    best_s[window[ascending]], best_sine[window[ascending]] = peak_s[ascending], peak_sine[ascending]

    num_gateways = len(segment.sine_min_elevation)
    return ContactWindows(
        num_satellites=num_satellites,
        num_gateways=num_gateways,
        start_s=start_s,
        end_s=end_s,
        satellite=pair // num_gateways,
        gateway=pair % num_gateways,
        rise_s=rise_s,
        set_s=set_s,
        peak_s=best_s,
        peak_elevation_deg=np.degrees(np.arcsin(np.minimum(best_sine, 1.0))),
    )
