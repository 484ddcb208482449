"""What is to come in a scene: the next contacts of every pair, and the next eclipse of every satellite.

A scene is searched an hour at a time, when an hour is first needed, so that what is found does not depend on who asked
before. What comes after an instant is then read from the hours ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env.orbits.intervals import Intervals, joined, no_intervals, upcoming
from satfl_env.orbits.sampled import as_foreseen
from satfl_env.orbits.scene import Scene
from satfl_env.settings import STRICT, Count, Positive

FloatArray = NDArray[np.float64]

_SEARCHED_S = 3600.0
LONGEST_HORIZON_S = 604_800.0
REACH_S = LONGEST_HORIZON_S + _SEARCHED_S
"""How long after an instant a forecast may ask for states at most."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ForecastSettings:
    """How far and how much of what is to come is known.

    Attributes:
        contacts: Number of contacts of each pair after the one under way.
        horizon_s: How far ahead, at most a week; None means as far as the longest window of the scene can reach, which
            is the longest orbital period. Every hour of it is searched once, when it is first needed.
    """

    contacts: Annotated[Count, Field(le=100)] = 2
    horizon_s: Annotated[Positive, Field(le=LONGEST_HORIZON_S)] | None = None

    def reach_s(self, scene: Scene) -> float:
        """How far ahead it is for a scene."""
        return min(scene.horizon_s, LONGEST_HORIZON_S) if self.horizon_s is None else self.horizon_s


class Forecast:
    """The contacts and eclipses to come in a scene.

    Args:
        scene: The scene; `as_foreseen` says what is done about one that does not know its contacts.
        settings: How far and how much.
    """

    def __init__(self, scene: Scene, settings: ForecastSettings) -> None:
        foreseen, horizon_s = as_foreseen(scene), settings.reach_s(scene)
        satellites, gateways = scene.num_satellites, scene.num_gateways
        self._pairs = (satellites, gateways, settings.contacts)
        self._contacts = _Timeline(foreseen.contacts, satellites * gateways, settings.contacts, horizon_s)
        self._eclipses = _Timeline(foreseen.eclipses, satellites, 1, horizon_s, with_present=True)

    def contact_start_s(self, time_s: float) -> FloatArray:
        """When the next contacts of each pair begin, in s after an instant, (S, G, K); the horizon where none does."""
        return self._contacts.after(time_s)[0].reshape(self._pairs)

    def contact_end_s(self, time_s: float) -> FloatArray:
        """When they end, (S, G, K), at the horizon at the latest."""
        return self._contacts.after(time_s)[1].reshape(self._pairs)

    def eclipse_start_s(self, time_s: float) -> FloatArray:
        """When the next eclipse of each satellite begins, in s after an instant, (S,); 0 where it is under way."""
        return self._eclipses.after(time_s)[0][:, 0]

    def eclipse_end_s(self, time_s: float) -> FloatArray:
        """When it ends, (S,), at the horizon at the latest."""
        return self._eclipses.after(time_s)[1][:, 0]


class _Timeline:
    """The intervals of some rows, searched when they are first needed."""

    def __init__(
        self,
        search: Callable[[float, float], Intervals],
        num_rows: int,
        count: int,
        horizon_s: float,
        *,
        with_present: bool = False,
    ) -> None:
        self._search, self._horizon_s = search, horizon_s
        self._rows = {"num_rows": num_rows, "count": count}
        self._with_present = with_present
        self._hours = range(0)
        self._found: dict[int, Intervals] = {}
        self._joined = no_intervals()
        self._read_at = np.nan
        self._read: tuple[FloatArray, FloatArray]

    def after(self, time_s: float) -> tuple[FloatArray, FloatArray]:
        """See `upcoming`."""
        if time_s != self._read_at:
            self._look_ahead(time_s)
            self._read = upcoming(
                self._joined, time_s, **self._rows, horizon_s=self._horizon_s, with_present=self._with_present
            )
            self._read_at = time_s
        return self._read

    def _look_ahead(self, time_s: float) -> None:
        """Search the hours ahead of an instant that are not known yet, and forget those that have passed."""
        hours = range(int(time_s // _SEARCHED_S), int((time_s + self._horizon_s) // _SEARCHED_S) + 1)
        if hours == self._hours:
            return
        self._found = {hour: self._found[hour] if hour in self._found else self._hour(hour) for hour in hours}
        self._joined, self._hours = joined(self._found.values()), hours

    def _hour(self, hour: int) -> Intervals:
        row, start_s, end_s = self._search(hour * _SEARCHED_S, (hour + 1) * _SEARCHED_S)
        return Intervals(np.asarray(row, dtype=np.int64), np.asarray(start_s, float), np.asarray(end_s, float))
