"""Epochs, and the turning Earth: from inertial frames to the Earth-fixed one, by astropy and without a network.

TEME (true equator, mean equinox) is the inertial frame in which orbits move, SGP4's own; ITRS is fixed to the Earth.
Beyond the end of astropy's bundled Earth orientation table (about a year after its release) the table's last UT1 is
kept and the mean polar motion taken, which displaces the Earth by at most a few hundred metres.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from satfl_env.imports import import_tidily
from satfl_env.orbits.earth import ROTATION_RADPS

if TYPE_CHECKING:
    from astropy.time import Time

FloatArray = NDArray[np.float64]

FIRST_YEAR, LAST_YEAR = 2000, 2035
# Astropy also reads years with fractions, exponents behind the seconds, and digits of other scripts as other digits.
_ISO = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d*)?)?Z?)?", re.ASCII)


def astropy(module: str) -> Any:
    """A module of astropy: its import takes half a second, which scenes on the plane never need."""
    return import_tidily(f"astropy.{module}")


@contextmanager
def offline() -> Iterator[None]:
    """Let astropy use its bundled tables for any date: no download, no warning about their age."""
    iers = astropy("utils.iers")
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        warnings.catch_warnings(),
    ):
        # ERFA calls a year dubious once leap seconds are not yet announced for it.
        warnings.simplefilter("ignore", import_tidily("erfa").ErfaWarning)
        warnings.simplefilter("ignore", astropy("utils.exceptions").AstropyWarning)
        yield


def make_epoch(epoch: Time | str) -> Time:
    """An epoch as an astropy time in UTC, from an astropy time or from ISO 8601 text in UTC.

    Raises:
        ValueError: If the text is no date, the time is not scalar, or the year lies outside 2000..2035.
    """
    with offline():
        try:
            if isinstance(epoch, str) and not _ISO.fullmatch(epoch):
                raise ValueError("another form")
            time = astropy("time").Time(epoch, scale="utc" if isinstance(epoch, str) else None).utc
        except ValueError as error:
            raise ValueError(f"epoch must be an ISO 8601 date and time in UTC, got {epoch!r}") from error
        if not time.isscalar:
            raise ValueError(f"epoch must be one time, got {time.shape} of them")
        year = time.ymdhms["year"]
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"epoch must lie in the years {FIRST_YEAR}..{LAST_YEAR}, got {utc_text(time)}")
    return time


def julian_time(day: ArrayLike, fraction: ArrayLike) -> Time:
    """The astropy time of a Julian date in UTC, given as days and fractions of them in any common shape."""
    with offline():
        return astropy("time").Time(day, fraction, format="jd", scale="utc")


def times_after(epoch: Time, time_s: FloatArray) -> Time:
    """The astropy times `time_s` seconds after an epoch, in the shape of `time_s`."""
    with offline():
        return (epoch + astropy("time").TimeDelta(time_s, format="sec")).utc


def seconds_between(first: Time, last: Time) -> float:
    """Seconds from one time to another."""
    with offline():
        return float((last - first).sec)


def utc_text(time: Time) -> str:
    """A time as ISO 8601 text in UTC, to the second."""
    with offline():
        return str(time.utc.isot[:19])


def teme_to_itrs(epoch: Time, time_s: FloatArray) -> FloatArray:
    """Rotation matrices from TEME to ITRS at each time, (T, 3, 3)."""
    return _rotation("TEME", "ITRS", times_after(epoch, time_s))


def gcrs_to_teme(epoch: Time) -> FloatArray:
    """Rotation matrix from GCRS to TEME at an epoch, (3, 3)."""
    return _gcrs_to_teme(epoch.utc.jd1, epoch.utc.jd2)


# Every round of an episode asks for it, each time for the same epoch.
@lru_cache(maxsize=16)
def _gcrs_to_teme(day: float, fraction: float) -> FloatArray:
    rotation = _rotation("GCRS", "TEME", julian_time([day], [fraction]))
    rotation.flags.writeable = False
    return np.asarray(rotation[0])


def earth_fixed(
    rotation: FloatArray, position_m: FloatArray, velocity_mps: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities relative to the turning Earth.

    Args:
        rotation: From the inertial to the Earth-fixed frame, (T, 3, 3).
        position_m: Inertial positions, (T, S, 3).
        velocity_mps: Inertial velocities, (T, S, 3).

    Returns:
        Earth-fixed positions and velocities, (T, S, 3) each; v = R v_inertial - omega x r.
    """
    transposed = rotation.swapaxes(-1, -2)
    position, velocity = position_m @ transposed, velocity_mps @ transposed
    velocity[..., 0] += ROTATION_RADPS * position[..., 1]
    velocity[..., 1] -= ROTATION_RADPS * position[..., 0]
    return position, velocity


def sun_position_m(epoch: Time, time_s: FloatArray) -> FloatArray:
    """Apparent position of the Sun in ITRS at each time, (T, 3)."""
    times = times_after(epoch, time_s)
    return np.asarray((_rotation("GCRS", "ITRS", times) @ _sun_position_m(times)[..., None])[..., 0])


def inertial_sun_position_m(epoch: Time, time_s: FloatArray) -> FloatArray:
    """Apparent position of the Sun in TEME of the epoch at each time, (T, 3); cheaper than in the turning frame."""
    return np.asarray(_sun_position_m(times_after(epoch, time_s)) @ gcrs_to_teme(epoch).T)


def _sun_position_m(times: Time) -> FloatArray:
    """Apparent position of the Sun in GCRS at each time, (T, 3).

    It is that of astropy's `get_sun` to the last bit, by the same functions of ERFA, without the objects around them.
    """
    erfa = import_tidily("erfa")
    with offline():
        tdb = times.tdb
    from_sun, from_barycentre = erfa.epv00(tdb.jd1, tdb.jd2)
    earth, speed_of_light = from_sun["p"], erfa.CMPS * erfa.DAYSEC / erfa.DAU
    velocity, distance = from_barycentre["v"] / speed_of_light, np.sqrt(np.sum(earth**2, axis=-1))
    contraction = (1 - np.sum(velocity**2, axis=-1)) ** 0.5
    direction = erfa.ab(earth / distance[:, None], -velocity, distance, contraction)
    # Astropy goes by way of angles, which costs last bits.
    longitude, latitude, radius = erfa.p2s(-distance[:, None] * direction)
    return np.asarray(erfa.s2p(longitude % (2 * np.pi), latitude, radius) * erfa.DAU)


def _rotation(source: str, target: str, times: Time) -> FloatArray:
    """Rotation matrices between two geocentric frames of astropy at each time, (T, 3, 3): where unit vectors go."""
    coordinates, column = astropy("coordinates"), times[:, None]
    unit_vectors = coordinates.CartesianRepresentation(*np.eye(3)[:, None])
    with offline():
        here, there = (getattr(coordinates, frame) for frame in (source, target))
        moved = here(unit_vectors, obstime=column).transform_to(there(obstime=column))
    return np.ascontiguousarray(np.moveaxis(moved.cartesian.xyz.value, 0, 1))
