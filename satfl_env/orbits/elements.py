"""Published mean elements, as two-line elements (TLE) or orbit mean-elements messages (OMM), propagated by SGP4."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray
from sgp4 import omm
from sgp4.api import SGP4_ERRORS, WGS72, Satrec, SatrecArray
from sgp4.io import compute_checksum

from satfl_env.orbits.earth import GRAVITY_M3PS2
from satfl_env.orbits.frames import make_epoch, offline, times_after, utc_text

FloatArray = NDArray[np.float64]

MAX_AGE_DAYS = 30.0
_LINE_LENGTH = 69
_NUMBER = re.compile(r" *(\d+\.?\d*|\.\d+) *")
# Fields of each line of an element set: name, first and last column counted from 1, lowest and highest value.
_NUMBERS: dict[str, tuple[tuple[str, int, int, float, float], ...]] = {
    "1": (("year of the epoch", 19, 20, 0, 99), ("day of the epoch", 21, 32, 1, 367)),
    "2": (
        ("inclination", 9, 16, 0, 180),
        ("right ascension of the node", 18, 25, 0, 360),
        ("eccentricity without its decimal point", 27, 33, 0, 9_999_999),
        ("argument of perigee", 35, 42, 0, 360),
        ("mean anomaly", 44, 51, 0, 360),
        ("mean motion", 53, 63, 0.01, 20),
    ),
}
# Drag terms have no decimal point but an exponent.
_DRAG_TERM = re.compile(r"[-+ ]\d{5}[-+ ]\d")
_DRAG_TERMS: dict[str, tuple[tuple[str, int, int], ...]] = {
    "1": (("second derivative of the mean motion", 45, 52), ("drag term B*", 54, 61)),
    "2": (),
}
_SGP4_DAY_ZERO = 2433281.5
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
        elements = [tuple(getattr(satellite, name) for name in _ELEMENTS) for satellite in self.satellites]
        return {**self.__dict__, "satellites": elements, "_array": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.satellites = tuple(_initialised(*elements) for elements in state["satellites"])
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


_ELEMENTS = (
    "satnum", "jdsatepoch", "jdsatepochF", "bstar", "ndot", "nddot", "ecco", "argpo", "inclo", "mo", "no_kozai", "nodeo"
)  # fmt: skip


def _initialised(number: int, date: float, fraction: float, *elements: float) -> Satrec:
    record = Satrec()
    record.sgp4init(WGS72, "i", number, date - _SGP4_DAY_ZERO + fraction, *elements)
    # The sum of date and fraction has lost a fraction of a microsecond.
    record.jdsatepoch, record.jdsatepochF = date, fraction
    return record


def samples() -> dict[str, Path]:
    """The shipped files of synthesised elements by name; their epoch is 1 January 2026."""
    folder = Path(__file__).with_name("samples")
    return {path.stem: path for path in sorted(folder.iterdir())}


def load_elements(path: str | Path, epoch: Time | str | None = None) -> Sgp4Orbits:
    """The satellites of a file: OMM if it ends in .csv, .json or .xml, TLE with or without names otherwise.

    In a TLE or CSV file, blank lines and lines that start with # are skipped.

    Args:
        path: The file.
        epoch: As in `Sgp4Orbits`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an element set is malformed, naming its line or field; as in `Sgp4Orbits`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file of orbital elements {str(path)!r}")
    reader = {".csv": _omm_csv, ".json": _omm_json, ".xml": _omm_xml}.get(path.suffix.lower())
    try:
        text = path.read_text(encoding="utf-8-sig")
        named = list(_from_tle(text)) if reader is None else list(_from_omm(reader(text)))
        if not named:
            raise ValueError("a constellation needs at least one satellite, got a file without elements")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Sgp4Orbits([satellite for _, satellite in named], [name for name, _ in named], epoch)


def _from_tle(text: str) -> Iterator[tuple[str, Satrec]]:
    """Names and records of two-line elements, each pair of lines checked."""
    name, first, first_number = "", "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        if first:
            _check_line(line, "2", number)
            if line[2:7] != first[2:7]:
                raise ValueError(f"line {number}: satellite number {line[2:7]!r} differs from {first[2:7]!r} above")
            yield name or f"NORAD {line[2:7].strip()}", _record(first, line, f"lines {first_number} and {number}")
            name, first = "", ""
        elif line.startswith("1 "):
            _check_line(line, "1", number)
            first, first_number = line, number
        elif name:
            raise ValueError(f"line {number}: line 1 of an element set must follow the name {name!r}, got {line!r}")
        else:
            name = line.removeprefix("0 ").strip()
    if first or name:
        raise ValueError(f"the file ends inside an element set, after {first or name!r}")


def _check_line(line: str, kind: str, number: int) -> None:
    if not line.startswith(f"{kind} "):
        raise ValueError(f"line {number}: line {kind} of an element set must start with '{kind} ', got {line!r}")
    if len(line) != _LINE_LENGTH:
        raise ValueError(f"line {number}: a line of an element set has {_LINE_LENGTH} characters, got {len(line)}")
    expected = str(compute_checksum(line))
    if line[-1] != expected:
        raise ValueError(f"line {number}: the checksum must be {expected}, got {line[-1]!r}")
    # `sgp4` itself reads what it can of a field and ignores the rest.
    for field, start, end, low, high in _NUMBERS[kind]:
        text = line[start - 1 : end]
        if not (_NUMBER.fullmatch(text) and low <= float(text) <= high):
            allowed = f"a number in [{low}, {high}]"
            raise ValueError(f"line {number}: the {field} (columns {start} to {end}) must be {allowed}, got {text!r}")
    for field, start, end in _DRAG_TERMS[kind]:
        text = line[start - 1 : end]
        if not _DRAG_TERM.fullmatch(text):
            allowed = "like '-12345-6', which is -0.12345e-6"
            raise ValueError(f"line {number}: the {field} (columns {start} to {end}) must be {allowed}, got {text!r}")


def _record(first: str, second: str, lines: str) -> Satrec:
    try:
        return _checked(Satrec.twoline2rv(first, second, WGS72))
    except ValueError as error:
        raise ValueError(f"{lines}: {error}") from error


def _from_omm(messages: Iterator[Mapping[str, Any]]) -> Iterator[tuple[str, Satrec]]:
    """Names and records of OMM fields, message by message."""
    for number, fields in enumerate(messages, start=1):
        name = str(fields.get("OBJECT_NAME") or f"NORAD {fields.get('NORAD_CAT_ID')}")
        record = Satrec()
        try:
            omm.initialize(record, fields)
            _checked(record)
        except KeyError as error:
            raise ValueError(f"message {number} ({name}): the field {error.args[0]} is missing") from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"message {number} ({name}): {error}") from error
        yield name, record


def _checked(record: Satrec) -> Satrec:
    if record.error:
        raise ValueError(f"SGP4 refuses the elements: {SGP4_ERRORS[record.error]}")
    if not 0 < record.no_kozai < np.inf:
        raise ValueError(f"the mean motion must be positive, got {record.no_kozai} rad/min")
    return record


def _omm_csv(text: str) -> Iterator[Mapping[str, Any]]:
    return csv.DictReader(line for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _omm_json(text: str) -> Iterator[Mapping[str, Any]]:
    messages = json.loads(text)
    messages = messages if isinstance(messages, list) else [messages]
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, dict):
            raise ValueError(f"message {number} must be an object of OMM fields, got {message!r}")
    return iter(messages)


def _omm_xml(text: str) -> Iterator[Mapping[str, Any]]:
    try:
        return iter(list(omm.parse_xml(io.StringIO(text))))
    except (SyntaxError, TypeError) as error:
        raise ValueError(f"not an OMM in XML: {error}") from error
