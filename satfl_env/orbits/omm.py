"""Orbit mean-elements messages (OMM): which fields SGP4 needs, what they may hold, and what it must not fly."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterator
from datetime import date, timedelta
from math import inf, pi, radians
from typing import Any

from sgp4.api import Satrec

from satfl_env.orbits.element_set import (
    INCLINATION_DEG,
    MEAN_MOTION_REV_PER_DAY,
    ElementSet,
    checked_record,
    julian_midnight,
)
from satfl_env.orbits.omm_formats import Message

# SGP4's elements say nothing in another theory, frame or time. CCSDS 502.0-B-3, 4.2.4.6 and 4.2.4.7; those who publish
# elements give the ephemeris type 0 to those of SGP4.
_REQUIRED = {
    "MEAN_ELEMENT_THEORY": ("SGP4", "SGP/SGP4"),
    "TIME_SYSTEM": ("UTC",),
    "REF_FRAME": ("TEME", "TEMEOFDATE"),
    "CENTER_NAME": ("EARTH",),
}
_TYPES = (0, 2)
_ONLY_XP = ("BTERM", "AGOM")
_UNITS = {
    "MEAN_MOTION": "rev/day",
    "MEAN_MOTION_DOT": "rev/day**2",
    "MEAN_MOTION_DDOT": "rev/day**3",
    "BSTAR": "1/ER",
    **dict.fromkeys(("INCLINATION", "RA_OF_ASC_NODE", "ARG_OF_PERICENTER", "MEAN_ANOMALY"), "deg"),
}
_HIGHEST_NUMBER = 999_999_999
# The angles of the XML schema reach one turn in both directions.
_TURN = (-360.0, 360.0)
_REAL = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?:\[([^\]]*)\]\s*)?", re.ASCII)
_EPOCH = re.compile(
    r"(?P<year>\d{4})-(?:(?P<month>\d\d)-(?P<day>\d\d)|(?P<day_of_year>\d{3}))[T ]"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d(?:\.\d*)?)(?:Z|\+00:?00)?",
    re.ASCII,
)


def read_omm(messages: Iterator[Message]) -> Iterator[ElementSet]:
    """The element sets of messages.

    Fields that SGP4 does not use may be missing or empty, and so may be those that say what its elements always are:
    theory, time system, frame, centre and ephemeris type.

    Raises:
        ValueError: If a message cannot be flown by SGP4; it is named by its number and satellite, with the field.
    """
    for index, fields in enumerate(messages, start=1):
        given = fields.get("OBJECT_NAME")
        name = given.strip() if isinstance(given, str) else ""
        try:
            if not isinstance(given, str | None):
                raise ValueError(f"OBJECT_NAME must be text, got {reprlib.repr(given)}")
            number = round(_number(fields, "NORAD_CAT_ID", 0, _HIGHEST_NUMBER, whole=True))
            yield ElementSet(number, name, _record(number, fields))
        except ValueError as error:
            who = f" ({name})" if name else ""
            raise ValueError(f"message {index}{who}: {error}") from error


def _record(number: int, fields: Message) -> Satrec:
    _check_theory(fields)
    eccentricity = _number(fields, "ECCENTRICITY", 0, 1)
    if eccentricity == 1:
        raise ValueError("ECCENTRICITY must be below 1, got 1: that is no closed orbit")
    return checked_record(
        number,
        *_epoch(fields),
        _number(fields, "BSTAR"),
        _number(fields, "MEAN_MOTION_DOT", default=0.0) * pi / 1_036_800.0,
        _number(fields, "MEAN_MOTION_DDOT", default=0.0) * 2 * pi / 2_985_984_000.0,
        eccentricity,
        radians(_number(fields, "ARG_OF_PERICENTER", *_TURN)),
        radians(_number(fields, "INCLINATION", *INCLINATION_DEG)),
        radians(_number(fields, "MEAN_ANOMALY", *_TURN)),
        _number(fields, "MEAN_MOTION", *MEAN_MOTION_REV_PER_DAY) / 720.0 * pi,
        radians(_number(fields, "RA_OF_ASC_NODE", *_TURN)),
    )


def _check_theory(fields: Message) -> None:
    for name, allowed in _REQUIRED.items():
        if not _is_empty(fields.get(name)) and str(fields[name]).strip().upper() not in allowed:
            raise ValueError(f"{name} must be {' or '.join(allowed)}, got {reprlib.repr(fields[name])}")
    kind = _number(fields, "EPHEMERIS_TYPE", default=0.0)
    if kind not in _TYPES:
        raise ValueError(f"EPHEMERIS_TYPE must be 0 or 2, which is SGP4 (4 is SGP4-XP), got {kind:g}")
    for name in _ONLY_XP:
        if not _is_empty(fields.get(name)):
            raise ValueError(f"{name} must not be given: it belongs to SGP4-XP, which SGP4 cannot fly")


def _number(
    fields: Message,
    name: str,
    low: float = -inf,
    high: float = inf,
    *,
    default: float | None = None,
    whole: bool = False,
) -> float:
    """A field's number in [low, high]; without a default it may not be missing."""
    value = fields.get(name)
    if _is_empty(value):
        if default is None:
            raise ValueError(f"the field {name} is missing")
        return default
    number = _as_number(value, _UNITS.get(name))
    if not (low <= number <= high and math.isfinite(number)) or (whole and number != round(number)):
        limits = "" if (low, high) == (-inf, inf) else f" in [{low:.9g}, {high:.9g}]"
        raise ValueError(f"{name} must be a {'whole ' if whole else ''}number{limits}, got {reprlib.repr(value)}")
    return number


def _as_number(value: Any, unit: str | None) -> float:
    """The number, or the number in text, perhaps with its unit behind it; NaN for anything else."""
    if isinstance(value, str):
        match = _REAL.fullmatch(value)
        return float(match[1]) if match and (match[2] is None or match[2].lower() == str(unit).lower()) else math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return inf


def _epoch(fields: Message) -> tuple[float, float]:
    """Julian date of the midnight before the epoch, and the fraction of the day."""
    value = fields.get("EPOCH")
    if _is_empty(value):
        raise ValueError("the field EPOCH is missing")
    match = _EPOCH.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if match is None:
            raise ValueError("another form")
        seconds = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + float(match["second"])
        if int(match["hour"]) > 23 or int(match["minute"]) > 59 or float(match["second"]) >= 61:
            raise ValueError("no time of day")
        return julian_midnight(_day(match).toordinal()), seconds / 86_400
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"EPOCH must be UTC like '2026-01-31T12:00:00.5' or '2026-031T12:00:00', got {reprlib.repr(value)}"
        ) from error


def _day(match: re.Match[str]) -> date:
    year = int(match["year"])
    if match["day_of_year"] is None:
        return date(year, int(match["month"]), int(match["day"]))
    day = date(year, 1, 1) + timedelta(days=int(match["day_of_year"]) - 1)
    if day.year != year:
        raise ValueError("no day of the year")
    return day


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
