"""Two-line elements: every column is checked, since a parser that reads what it can would fly what was never meant."""

from __future__ import annotations

import re
import reprlib
from calendar import isleap
from collections.abc import Iterator
from datetime import date
from math import inf, pi, radians
from typing import NamedTuple

from sgp4.alpha5 import from_alpha5
from sgp4.io import compute_checksum

from satfl_env.orbits.element_set import (
    INCLINATION_DEG,
    MEAN_MOTION_REV_PER_DAY,
    ElementSet,
    checked_record,
    julian_midnight,
)

_LINE_LENGTH = 69
_REV_PER_DAY = 1440.0 / (2.0 * pi)
"""One radian a minute in revolutions a day."""


class _Field(NamedTuple):
    """A field of a line: columns count from 1, `allowed` follows 'must be'."""

    name: str
    first: int
    last: int
    form: re.Pattern[str]
    allowed: str
    low: float = -inf
    high: float = inf

    @property
    def columns(self) -> str:
        return f"columns {self.first} to {self.last}" if self.last > self.first else f"column {self.first}"

    def of(self, line: str) -> str:
        return line[self.first - 1 : self.last]

    def holds(self, text: str) -> bool:
        if not self.form.fullmatch(text):
            return False
        return (self.low, self.high) == (-inf, inf) or self.low <= float(text) <= self.high


def _decimal(name: str, first: int, last: int, low: float, high: float, form: str = r" *(\d+\.\d*|\.\d+) *") -> _Field:
    return _Field(name, first, last, re.compile(form, re.ASCII), f"a number in [{low:g}, {high:g}]", low, high)


def _drag_term(name: str, first: int, last: int) -> _Field:
    # Drag terms have no decimal point but an exponent.
    form = re.compile(r"[-+ ]\d{5}[-+ ]\d", re.ASCII)
    return _Field(name, first, last, form, "like '-12345-6', which is -0.12345e-6")


def _count(name: str, first: int, last: int) -> _Field:
    return _Field(name, first, last, re.compile(r" *\d* *", re.ASCII), "a whole number or blank")


_NUMBER = _Field(
    "satellite number", 3, 7, re.compile(r" *\d+|[A-HJ-NP-Z]\d{4}", re.ASCII), "a number, or a letter and four digits"
)
_YEAR = _decimal("year of the epoch", 19, 20, 0, 99, r"[ \d]\d")
_DAY = _decimal("day of the epoch", 21, 32, 1, 367)
_FIRST_DERIVATIVE = _Field(
    "first derivative of the mean motion",
    34,
    43,
    re.compile(r" *[-+]?\d*\.\d+ *", re.ASCII),
    "a number like '-.00001234'",
)
_SECOND_DERIVATIVE = _drag_term("second derivative of the mean motion", 45, 52)
_DRAG = _drag_term("drag term B*", 54, 61)
_TYPE = _Field("ephemeris type", 63, 63, re.compile("[ 02]"), "0, 2 or blank, which is SGP4 (4 is SGP4-XP)")
_INCLINATION = _decimal("inclination", 9, 16, *INCLINATION_DEG)
_NODE = _decimal("right ascension of the node", 18, 25, 0, 360)
_ECCENTRICITY = _Field("eccentricity without its decimal point", 27, 33, re.compile(r"\d{7}", re.ASCII), "seven digits")
_PERIGEE = _decimal("argument of perigee", 35, 42, 0, 360)
_ANOMALY = _decimal("mean anomaly", 44, 51, 0, 360)
_MEAN_MOTION = _decimal("mean motion", 53, 63, *MEAN_MOTION_REV_PER_DAY)

_FIELDS = {
    "1": (
        _NUMBER,
        _YEAR,
        _DAY,
        _FIRST_DERIVATIVE,
        _SECOND_DERIVATIVE,
        _DRAG,
        _TYPE,
        _count("element set number", 65, 68),
    ),
    "2": (
        _NUMBER,
        _INCLINATION,
        _NODE,
        _ECCENTRICITY,
        _PERIGEE,
        _ANOMALY,
        _MEAN_MOTION,
        _count("revolution number", 64, 68),
    ),
}
# Columns between the fields.
_BLANK = {"1": (2, 9, 18, 33, 44, 53, 62, 64), "2": (2, 8, 17, 26, 34, 43, 52)}


def read_tle(text: str) -> Iterator[ElementSet]:
    """The element sets of a TLE file, with or without a line with the name before each.

    Blank lines and lines that start with # are skipped. A name may be marked with `0 `; one that is empty is none.
    A catalogue number is five digits, or a letter and four (Alpha-5).

    Raises:
        ValueError: If a line is not what it must be; the message names the line and the columns.
    """
    name: str | None = None
    first, first_number = "", 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        if first:
            _check_line(line, "2", number)
            if _NUMBER.of(line) != _NUMBER.of(first):
                raise ValueError(
                    f"line {number}: satellite number {_NUMBER.of(line)!r} differs from {_NUMBER.of(first)!r} above"
                )
            yield _element_set(name or "", first, line, f"lines {first_number} and {number}")
            name, first = None, ""
        elif _is_element_line(line, "1"):
            _check_line(line, "1", number)
            first, first_number = line, number
        elif name is not None or _is_element_line(line, "2"):
            place = "come first" if name is None else f"follow the name {reprlib.repr(name)}"
            raise ValueError(f"line {number}: line 1 of an element set must {place}, got {reprlib.repr(line)}")
        else:
            name = line[1:].strip() if line == "0" or line.startswith("0 ") else line.strip()
    if first or name is not None:
        raise ValueError(f"the file ends inside an element set, after {reprlib.repr(first or name)}")


def _is_element_line(line: str, kind: str) -> bool:
    return line.startswith(f"{kind} ") or (line.startswith(kind) and len(line) == _LINE_LENGTH)


def _check_line(line: str, kind: str, number: int) -> None:
    if not _is_element_line(line, kind):
        raise ValueError(
            f"line {number}: line {kind} of an element set must start with '{kind} ', got {reprlib.repr(line)}"
        )
    odd = next((column for column, sign in enumerate(line, start=1) if not " " <= sign <= "~"), None)
    if odd is not None:
        raise ValueError(f"line {number}: column {odd} must be printable ASCII, got {line[odd - 1]!r}")
    if len(line) != _LINE_LENGTH:
        raise ValueError(f"line {number}: a line of an element set has {_LINE_LENGTH} characters, got {len(line)}")
    expected = str(compute_checksum(line))
    if line[-1] != expected:
        raise ValueError(f"line {number}: the checksum must be {expected}, got {line[-1]!r}")
    for column in _BLANK[kind]:
        if line[column - 1] != " ":
            raise ValueError(f"line {number}: column {column} must be blank, got {line[column - 1]!r}")
    for field in _FIELDS[kind]:
        value = field.of(line)
        if not field.holds(value):
            raise ValueError(
                f"line {number}: the {field.name} ({field.columns}) must be {field.allowed}, got {value!r}"
            )


def _element_set(name: str, first: str, second: str, lines: str) -> ElementSet:
    """The elements of two checked lines."""
    number = from_alpha5(_NUMBER.of(first).strip())
    # Two digits stand for 1957 to 2056.
    year = int(_YEAR.of(first))
    year += 1900 if year >= 57 else 2000
    day, days = float(_DAY.of(first)), 366 if isleap(year) else 365
    if day >= days + 1:
        raise ValueError(f"{lines}: {year} has {days} days, got the day {_DAY.of(first)!r} (columns 21 to 32)")
    try:
        record = checked_record(
            number,
            julian_midnight(date(year, 1, 1).toordinal() + int(day) - 1),
            # As many digits as the file has.
            round(day - int(day), 8),
            _with_exponent(_DRAG.of(first)),
            float(_FIRST_DERIVATIVE.of(first)) / (_REV_PER_DAY * 1440),
            _with_exponent(_SECOND_DERIVATIVE.of(first)) / (_REV_PER_DAY * 1440 * 1440),
            float(f"0.{_ECCENTRICITY.of(second)}"),
            radians(float(_PERIGEE.of(second))),
            radians(float(_INCLINATION.of(second))),
            radians(float(_ANOMALY.of(second))),
            float(_MEAN_MOTION.of(second)) / _REV_PER_DAY,
            radians(float(_NODE.of(second))),
        )
    except ValueError as error:
        raise ValueError(f"{lines}: {error}") from error
    return ElementSet(number, name, record)


def _with_exponent(text: str) -> float:
    return float(f"{text[0].strip()}.{text[1:6]}") * 10.0 ** int(text[6:].strip())
