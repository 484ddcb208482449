"""One set of mean elements, whatever format it came in, and the record with which `sgp4` flies it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sgp4.api import SGP4_ERRORS, WGS72, Satrec

if TYPE_CHECKING:
    from astropy.time import Time

SGP4_RADIUS_M = 6_378_135.0
"""The Earth radius of SGP4 (WGS 72)."""

# What both formats allow.
INCLINATION_DEG = (0.0, 180.0)
MEAN_MOTION_REV_PER_DAY = (0.01, 20.0)

# The arguments of `record`, which are attributes of the record.
ELEMENTS = (
    "satnum", "jdsatepoch", "jdsatepochF", "bstar", "ndot", "nddot", "ecco", "argpo", "inclo", "mo", "no_kozai", "nodeo"
)  # fmt: skip
_SGP4_DAY_ZERO = 2433281.5
# Julian date of the midnight before day 1 of Python's ordinals.
_ORDINAL_ZERO = 1721424.5
_HIGHEST_RECORD_NUMBER = 339_999


class ElementSet(NamedTuple):
    """One set of mean elements.

    Attributes:
        number: Catalogue number of the satellite.
        name: Its name; empty if the file gives none.
        record: Initialised record of `sgp4`.
    """

    number: int
    name: str
    record: Satrec


def julian_midnight(ordinal: int) -> float:
    """Julian date of the midnight that begins a day, given as in `datetime.date.toordinal`."""
    return ordinal + _ORDINAL_ZERO


def record(number: int, date: float, fraction: float, *elements: float) -> Satrec:
    """The record of a set of elements, in the units of `sgp4`.

    Args:
        number: Catalogue number; `sgp4` has no room for one above 339999 and does not use it.
        date: Julian date of the midnight before the epoch.
        fraction: Fraction of the day.
        elements: As in `ELEMENTS` from `bstar` on; angles in rad, the mean motion in rad/min.
    """
    made = Satrec()
    room = number if number <= _HIGHEST_RECORD_NUMBER else 0
    made.sgp4init(WGS72, "i", room, date + fraction - _SGP4_DAY_ZERO, *elements)
    # The sum of date and fraction has lost a fraction of a microsecond.
    made.jdsatepoch, made.jdsatepochF = date, fraction
    return made


def checked_record(number: int, date: float, fraction: float, *elements: float) -> Satrec:
    """The same, if it has a state at its epoch.

    Raises:
        ValueError: If SGP4 cannot fly the elements.
    """
    made = record(number, date, fraction, *elements)
    error, position, velocity = made.sgp4(date, fraction)
    if error:
        raise ValueError(f"SGP4 refuses the elements: {SGP4_ERRORS[error]}")
    if not np.isfinite([position, velocity]).all():
        raise ValueError("SGP4 refuses the elements: they give no finite state")
    return made


def one_of_each(sets: Iterable[ElementSet], epoch: Time | None) -> list[ElementSet]:
    """One set of each satellite, in the order of their first ones.

    Of several sets with one catalogue number it is the newest that is not newer than the epoch, or the oldest if all
    are newer. Without an epoch it is the newest. Of sets with equal times the last one counts.

    Raises:
        ValueError: If sets with one catalogue number have different names.
    """
    satellites: dict[int, list[ElementSet]] = {}
    for given in sets:
        satellites.setdefault(given.number, []).append(given)
    return [_of_its_time(history, epoch)._replace(name=_name(history)) for history in satellites.values()]


def _name(history: list[ElementSet]) -> str:
    names = list(dict.fromkeys(given.name for given in history if given.name))
    if len(names) > 1:
        raise ValueError(f"satellite number {history[0].number} must have one name, got {names[0]!r} and {names[1]!r}")
    return names[0] if names else ""


def _of_its_time(history: list[ElementSet], epoch: Time | None) -> ElementSet:
    oldest_first = sorted(history, key=lambda given: _epoch(given.record))
    if epoch is None:
        return oldest_first[-1]
    known = [given for given in oldest_first if _epoch(given.record) <= (epoch.jd1, epoch.jd2)]
    return known[-1] if known else oldest_first[0]


def _epoch(made: Satrec) -> tuple[float, float]:
    return made.jdsatepoch, made.jdsatepochF
