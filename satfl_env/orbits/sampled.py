"""Contacts and eclipses of a scene that only knows how it is at an instant."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.intervals import Intervals
from satfl_env.orbits.scene import ForeseenScene, Scene

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_STEP_S = 60.0
_RIGHT_TO_S = 1.0
# Sums of seconds of sunlight are right to rounding.
_ROUNDING = 1e-9


def as_foreseen(scene: Scene) -> ForeseenScene:
    """A scene as a `ForeseenScene`.

    One that is none is looked at every minute: beginnings of contacts are right to a second and their ends as exact as
    its windows, eclipses are right to a minute, and what lasts for less than that may be missed.
    """
    return scene if isinstance(scene, ForeseenScene) else _Sampled(scene)


class _Sampled:
    """Says for a scene what it does not say itself."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def contacts(self, start_s: float, end_s: float) -> Intervals:
        time_s = _times(start_s, end_s)
        snapshots = [self._scene.at(time) for time in time_s.tolist()]
        visible = np.array([snapshot.visible.ravel() for snapshot in snapshots])
        window_s = np.array([snapshot.window_s.ravel() for snapshot in snapshots])
        # Windows are not reported beyond the horizon.
        lasts = window_s[:-1] >= np.minimum(np.diff(time_s), self._scene.horizon_s)[:, None]
        row, first, last = _runs(visible, visible[:-1] & visible[1:] & lasts)
        start = time_s[first]
        for index in np.unique(first[first > 0]).tolist():
            here = first == index
            start[here] = self._rises(time_s[index - 1], time_s[index], row[here])
        return Intervals(row, start, np.minimum(time_s[last] + window_s[last, row], end_s))

    def eclipses(self, start_s: float, end_s: float) -> Intervals:
        time_s = _times(start_s, end_s)
        step_s = np.diff(time_s)[:, None]
        lit_s = np.array([self._scene.sunlit_s(*span) for span in pairwise(time_s.tolist())])
        share = 1 - lit_s / step_s
        share[share < _ROUNDING], share[share > 1 - _ROUNDING] = 0.0, 1.0
        dark = share > 0
        row, first, last = _runs(dark, dark[:-1] & dark[1:])
        start, end = time_s[first], time_s[last + 1]
        begins, ends = (last > first) & (share[first, row] < 1), share[last, row] < 1
        start[begins] = (time_s[first + 1] - share[first, row] * step_s[first, 0])[begins]
        end[ends] = (time_s[last] + share[last, row] * step_s[last, 0])[ends]
        return Intervals(row, start, end)

    def _rises(self, low_s: float, high_s: float, rows: IntArray) -> FloatArray:
        """When contacts of some pairs begin that are under way at `high_s` and were not at `low_s`."""
        if high_s - low_s <= _RIGHT_TO_S or not rows.size:
            return np.full(len(rows), high_s)
        middle_s = (low_s + high_s) / 2
        snapshot, rise = self._scene.at(middle_s), np.empty(len(rows))
        lasts = snapshot.window_s.ravel()[rows] >= min(high_s - middle_s, self._scene.horizon_s)
        risen = snapshot.visible.ravel()[rows] & lasts
        rise[risen] = self._rises(low_s, middle_s, rows[risen])
        rise[~risen] = self._rises(middle_s, high_s, rows[~risen])
        return rise


def _times(start_s: float, end_s: float) -> FloatArray:
    """Evenly spaced times, a minute apart at most, both ends included."""
    return np.linspace(start_s, end_s, max(int(np.ceil((end_s - start_s) / _STEP_S)), 1) + 1)


def _runs(holds: BoolArray, goes_on: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Row, first and last sample of each run, (N,) each.

    Args:
        holds: Whether something holds for each row in each sample, (T, R).
        goes_on: Whether that of a sample goes on in the next, (T - 1, R).
    """
    begins, ends = holds.copy(), holds.copy()
    begins[1:] &= ~goes_on
    ends[:-1] &= ~goes_on
    row, first = np.nonzero(begins.T)
    return row, first, np.nonzero(ends.T)[1]
