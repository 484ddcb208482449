"""Satellites that SGP4 propagates from mean elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray
from sgp4.api import SGP4_ERRORS, Satrec, SatrecArray

from satfl_env.orbits.earth import GRAVITY_M3PS2
from satfl_env.orbits.element_set import ELEMENTS, record
from satfl_env.orbits.frames import make_epoch, offline, times_after, utc_text

FloatArray = NDArray[np.float64]

MAX_AGE_DAYS = 30.0
_SGP4_RADIUS_M = 6_378_135.0
# Mean elements leave out the short-period motion, some ten kilometres in a low orbit.
_RADIUS_MARGIN_M = 50e3
_SPEED_MARGIN = 1.02


class Sgp4Orbits:
    """Satellites propagated by SGP4 from mean elements.

    Args:
        satellites: Initialised `sgp4` records.
        names: Name of each, for messages and tables.
        epoch: Time 0: an astropy time, or ISO text in UTC; the latest epoch of the elements if None.

    Raises:
        ValueError: If there is no satellite, or elements are more than 30 days from the epoch.
    """

    def __init__(self, satellites: Sequence[Satrec], names: Sequence[str], epoch: Time | str | None = None) -> None:
        if not satellites:
            raise ValueError("a constellation needs at least one satellite, got none")
        if len(names) != len(satellites):
            raise ValueError(f"names must have one entry for each of {len(satellites)} satellites, got {len(names)}")
        self.satellites, self.names = tuple(satellites), tuple(names)
        dates = np.array([satellite.jdsatepoch for satellite in satellites])
        fractions = np.array([satellite.jdsatepochF for satellite in satellites])
        latest = int(np.argmax(dates + fractions))
        with offline():
            newest = Time(dates[latest], fractions[latest], format="jd", scale="utc")
        self.epoch = make_epoch(newest if epoch is None else epoch)
        age_days = self.epoch.jd1 - dates + self.epoch.jd2 - fractions
        for name, age in zip(self.names, age_days, strict=True):
            if abs(age) > MAX_AGE_DAYS:
                raise ValueError(
                    f"epoch must be within {MAX_AGE_DAYS:g} days of the elements, got {utc_text(self.epoch)}: "
                    f"{abs(age):.1f} days {'after' if age > 0 else 'before'} those of {name!r}"
                )
        self._array = SatrecArray(self.satellites)
        axis = np.array([satellite.a for satellite in satellites]) * _SGP4_RADIUS_M
        eccentricity = np.array([satellite.ecco for satellite in satellites])
        self.min_radius_m = float((axis * (1 - eccentricity)).min()) - _RADIUS_MARGIN_M
        self.max_radius_m = float((axis * (1 + eccentricity)).max()) + _RADIUS_MARGIN_M
        speed = np.sqrt(GRAVITY_M3PS2 / axis * (1 + eccentricity) / (1 - eccentricity))
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
        return Sgp4Orbits(self.satellites, self.names, times_after(self.epoch, np.asarray(elapsed_s)))

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
            ValueError: If SGP4 finds no state, as for a satellite that has decayed.
        """
        times = times_after(self.epoch, np.asarray(time_s, dtype=np.float64))
        error, position_km, velocity_kmps = self._array.sgp4(times.jd1, times.jd2)
        if error.any():
            satellite, time = np.argwhere(error)[0]
            reason = SGP4_ERRORS[error[satellite, time]]
            raise ValueError(f"{self.names[satellite]!r} has no state at {utc_text(times[time])}: {reason}")
        return position_km.swapaxes(0, 1) * 1e3, velocity_kmps.swapaxes(0, 1) * 1e3
