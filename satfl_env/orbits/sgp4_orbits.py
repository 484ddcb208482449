"""Satellites that SGP4 propagates from mean elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sgp4.api import SGP4_ERRORS, Satrec, SatrecArray

from satfl_env.orbits.decay import LOWEST_RADIUS_M, time_of_decay_s
from satfl_env.orbits.earth import GRAVITY_M3PS2
from satfl_env.orbits.element_set import ELEMENTS, SGP4_RADIUS_M, record
from satfl_env.orbits.frames import julian_time, make_epoch, times_after, utc_text

if TYPE_CHECKING:
    from astropy.time import Time

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MAX_AGE_DAYS = 30.0
# Mean elements leave out the short-period motion, some ten kilometres in a low orbit.
_RADIUS_MARGIN_M = 50e3
_SPEED_MARGIN = 1.02


class Sgp4Orbits:
    """Satellites propagated by SGP4 from mean elements.

    Args:
        satellites: Initialised `sgp4` records.
        names: Name of each, for messages and tables.
        epoch: Time 0: an astropy time, or ISO text in UTC; the latest epoch of the elements if None.
        decay_s: Time from which each satellite is no longer in orbit, (S,): it rests where it was then. None, which is
            infinite, flies all of them for as long as SGP4 can; see `decays_s`.

    Raises:
        ValueError: If there is no satellite, or elements are more than 30 days from the epoch.
    """

    def __init__(
        self,
        satellites: Sequence[Satrec],
        names: Sequence[str],
        epoch: Time | str | None = None,
        *,
        decay_s: FloatArray | None = None,
    ) -> None:
        if not satellites:
            raise ValueError("a constellation needs at least one satellite, got none")
        if len(names) != len(satellites):
            raise ValueError(f"names must have one entry for each of {len(satellites)} satellites, got {len(names)}")
        self.satellites, self.names = tuple(satellites), tuple(names)
        self.decay_s = np.full(len(satellites), np.inf) if decay_s is None else np.asarray(decay_s, dtype=np.float64)
        dates = np.array([satellite.jdsatepoch for satellite in satellites])
        fractions = np.array([satellite.jdsatepochF for satellite in satellites])
        latest = int(np.argmax(dates + fractions))
        newest = julian_time(dates[latest], fractions[latest])
        self.epoch = make_epoch(newest if epoch is None else epoch)
        age_days = self.epoch.jd1 - dates + self.epoch.jd2 - fractions
        for name, age in zip(self.names, age_days, strict=True):
            if abs(age) > MAX_AGE_DAYS:
                raise ValueError(
                    f"epoch must be within {MAX_AGE_DAYS:g} days of the elements, got {utc_text(self.epoch)}: "
                    f"{abs(age):.1f} days {'after' if age > 0 else 'before'} those of {name!r}"
                )
        self._array = SatrecArray(self.satellites)
        # By span: years of them take seconds, and a scenario asks when it is loaded and when it is built.
        self._decays_s: dict[float, FloatArray] = {}
        axis = np.array([satellite.a for satellite in satellites]) * SGP4_RADIUS_M
        eccentricity = np.array([satellite.ecco for satellite in satellites])
        at_last = np.minimum(axis, LOWEST_RADIUS_M / (1 - eccentricity))
        lowest_axis = np.where(np.isfinite(self.decay_s), at_last, axis)
        self.min_radius_m = float((lowest_axis * (1 - eccentricity)).min()) - _RADIUS_MARGIN_M
        self.max_radius_m = float((axis * (1 + eccentricity)).max()) + _RADIUS_MARGIN_M
        speed = np.sqrt(GRAVITY_M3PS2 / lowest_axis * (1 + eccentricity) / (1 - eccentricity))
        self.max_speed_mps = float(speed.max()) * _SPEED_MARGIN

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return len(self.satellites)

    @property
    def period_s(self) -> FloatArray:
        """Orbital periods, (S,)."""
        return np.array([2 * np.pi / satellite.no_kozai * 60.0 for satellite in self.satellites])

    def advanced(self, elapsed_s: float) -> Sgp4Orbits:
        """The same satellites with an epoch `elapsed_s` later, which may be negative.

        Raises:
            ValueError: If elements are then more than 30 days from the epoch.
        """
        later = times_after(self.epoch, np.asarray(elapsed_s))
        return Sgp4Orbits(self.satellites, self.names, later, decay_s=self.decay_s - elapsed_s)

    def decays_s(self, span_s: float) -> FloatArray:
        """Times after the epoch at which satellites come down, (S,): see `decay_s`; infinite beyond `span_s`."""
        if span_s not in self._decays_s:
            decays_s = np.array([time_of_decay_s(satellite, self.epoch, span_s) for satellite in self.satellites])
            decays_s.flags.writeable = False
            self._decays_s[span_s] = decays_s
        return self._decays_s[span_s]

    def ending(self, decay_s: FloatArray) -> Sgp4Orbits:
        """The same satellites, each up to its decay in s after the epoch, (S,)."""
        return Sgp4Orbits(self.satellites, self.names, self.epoch, decay_s=decay_s)

    def chosen(self, rows: BoolArray) -> Sgp4Orbits:
        """Some of the satellites: a mask, (S,).

        Raises:
            ValueError: If there is none.
        """
        numbers = np.flatnonzero(rows)
        satellites, names = ([values[number] for number in numbers] for values in (self.satellites, self.names))
        return Sgp4Orbits(satellites, names, self.epoch, decay_s=self.decay_s[rows])

    def __getstate__(self) -> dict[str, Any]:
        # The records of `sgp4` cannot be pickled or copied; the elements that made them can.
        elements = [tuple(getattr(satellite, name) for name in ELEMENTS) for satellite in self.satellites]
        return {**self.__dict__, "satellites": elements, "_array": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.satellites = tuple(record(*elements) for elements in state["satellites"])
        self._array = SatrecArray(self.satellites)

    def states(self, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions in m and velocities in m/s at each time (T,), as (T, S, 3) each.

        Raises:
            ValueError: If SGP4 finds no state, as for a satellite that has decayed before its `decay_s`.
        """
        time_s = np.asarray(time_s, dtype=np.float64)
        times = times_after(self.epoch, time_s)
        error, position_km, velocity_kmps = self._array.sgp4(times.jd1, times.jd2)
        gone = time_s > self.decay_s[:, None]
        for satellite in np.flatnonzero(gone.any(axis=1)):
            last = times_after(self.epoch, self.decay_s[satellite])
            error[satellite, gone[satellite]] = 0
            position_km[satellite, gone[satellite]] = self.satellites[satellite].sgp4(last.jd1, last.jd2)[1]
            velocity_kmps[satellite, gone[satellite]] = 0.0
        lost = (error != 0) | ~np.isfinite(position_km).all(axis=-1)
        if lost.any():
            satellite, time = np.argwhere(lost)[0]
            reason = SGP4_ERRORS.get(error[satellite, time], "its position is not finite")
            raise ValueError(f"{self.names[satellite]!r} has no state at {utc_text(times[time])}: {reason}")
        return position_km.swapaxes(0, 1) * 1e3, velocity_kmps.swapaxes(0, 1) * 1e3
