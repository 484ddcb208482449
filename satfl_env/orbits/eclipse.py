"""Sunlight and the Earth's shadow, the Earth a sphere. Positions in any frame about the Earth's centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.crossings import bracketed_root
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.orbits.frames import inertial_sun_position_m
from satfl_env.orbits.hermite import motion_between
from satfl_env.orbits.intervals import Intervals, joined, paired
from satfl_env.orbits.propagation import Orbits

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SUN_RADIUS_M = 695_700_000.0
# Times of entry into and exit from a shadow are right to half of this sampling step.
_SAMPLE_S = 20.0
_SAMPLES_AT_A_TIME = 64
_SAMPLES_OF_AN_HOUR = 180


def in_cylindrical_shadow(position_m: FloatArray, sun_m: FloatArray) -> BoolArray:
    """Whether a satellite is in the shadow that a Sun at infinity casts: a cylinder behind the Earth.

    Args:
        position_m: Satellites, (..., 3).
        sun_m: The Sun, (..., 3); broadcast with `position_m`.

    Returns:
        Shape (...).
    """
    direction = sun_m / np.linalg.norm(sun_m, axis=-1, keepdims=True)
    along = np.einsum("...i,...i", position_m, direction)
    across_squared = np.einsum("...i,...i", position_m, position_m) - along**2
    return np.asarray((along < 0) & (across_squared < EQUATORIAL_RADIUS_M**2))


def sunlit_fraction(position_m: FloatArray, sun_m: FloatArray) -> FloatArray:
    """Fraction of the Sun's disc that the Earth does not cover: conical umbra and penumbra (Montenbruck & Gill, 3.4.2).

    Args:
        position_m: Satellites, outside the Earth, (..., 3).
        sun_m: The Sun, (..., 3); broadcast with `position_m`.

    Returns:
        Fractions in [0, 1], shape (...): 1 in sunlight, 0 in the umbra.
    """
    sun, earth, apart = _discs(position_m, sun_m)
    return np.asarray(1 - _overlap(sun, earth, apart) / (np.pi * sun**2))


def sunlit_s(orbits: Orbits, start_s: float, end_s: float, *, conical: bool = True) -> FloatArray:
    """Seconds of sunlight of each satellite between two times, penumbra counted in part.

    Args:
        orbits: The satellites.
        start_s: Start, in s after the orbits' epoch.
        end_s: End, not before the start.
        conical: Umbra and penumbra; else the cylindrical shadow.

    Returns:
        (S,), each in [0, end_s - start_s]; sampled in the middle of steps of 20 s at most.

    Raises:
        ValueError: If the end lies before the start.
    """
    if not end_s >= start_s:
        raise ValueError(f"end_s must not lie before start_s {start_s}, got {end_s}")
    num_samples = max(int(np.ceil((end_s - start_s) / _SAMPLE_S)), 1)
    step_s = (end_s - start_s) / num_samples
    total = np.zeros(orbits.num_satellites)
    for first in range(0, num_samples, _SAMPLES_AT_A_TIME):
        sample = np.arange(first, min(first + _SAMPLES_AT_A_TIME, num_samples), dtype=np.float64)
        time = start_s + step_s * (sample + 0.5)
        position, _ = orbits.states(time)
        sun = inertial_sun_position_m(orbits.epoch, time)[:, None]
        lit = sunlit_fraction(position, sun) if conical else ~in_cylindrical_shadow(position, sun)
        total += step_s * lit.sum(axis=0)
    return total


def eclipses(orbits: Orbits, start_s: float, end_s: float) -> Intervals:
    """Eclipses of each satellite between two times: while the Earth covers the centre of the Sun's disc.

    Args:
        orbits: The satellites.
        start_s: Start, in s after the orbits' epoch.
        end_s: End, after the start.

    Returns:
        Intervals of rows satellite, cut where the span begins and ends, right to some milliseconds of the interpolated
        motion. An eclipse of less than 20 s may be missed.
    """
    time = np.linspace(start_s, end_s, max(int(np.ceil((end_s - start_s) / _SAMPLE_S)), 1) + 1)
    pieces = range(0, len(time) - 1, _SAMPLES_OF_AN_HOUR)
    return joined(_eclipses_among(orbits, time[first : first + _SAMPLES_OF_AN_HOUR + 1]) for first in pieces)


def _eclipses_among(orbits: Orbits, time_s: FloatArray) -> Intervals:
    """Eclipses from the first to the last of evenly spaced times of an hour at most, (T,)."""
    position, velocity = orbits.states(time_s)
    sun = _sun_between_m(orbits, time_s)
    dark = _clearance_rad(position, sun[:, None]) < 0
    step, satellite = np.nonzero(dark[1:] != dark[:-1])
    motion = motion_between(
        (position[step, satellite], position[step + 1, satellite]),
        (velocity[step, satellite], velocity[step + 1, satellite]),
        float(time_s[1] - time_s[0]),
    )

    def clearance_rad(fraction: FloatArray) -> FloatArray:
        sun_m = sun[step] + fraction[:, None] * (sun[step + 1] - sun[step])
        return _clearance_rad(motion.at(fraction)[0], sun_m)

    fraction = bracketed_root(clearance_rad, np.zeros(len(step)), np.ones(len(step)))
    crossing_s = time_s[step] + fraction * motion.step_s
    enters, at_first, at_last = dark[step + 1, satellite], np.flatnonzero(dark[0]), np.flatnonzero(dark[-1])
    return paired(
        (np.r_[at_first, satellite[enters]], np.r_[np.full(len(at_first), time_s[0]), crossing_s[enters]]),
        (np.r_[at_last, satellite[~enters]], np.r_[np.full(len(at_last), time_s[-1]), crossing_s[~enters]]),
    )


def _sun_between_m(orbits: Orbits, time_s: FloatArray) -> FloatArray:
    """The Sun at evenly spaced times of an hour at most, (T, 3): its path is straight to ten kilometres."""
    first_m, last_m = inertial_sun_position_m(orbits.epoch, time_s[[0, -1]])
    return np.asarray(np.linspace(first_m, last_m, len(time_s)))


def _clearance_rad(position_m: FloatArray, sun_m: FloatArray) -> FloatArray:
    """Angle between the Sun's centre and the Earth's limb, (...); negative where the Earth covers it."""
    _, earth, apart = _discs(position_m, sun_m)
    return apart - earth


def _discs(position_m: FloatArray, sun_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Angular radii of the Sun and of the Earth, and how far apart their centres are, in rad, (...) each."""
    to_sun = sun_m - position_m
    radius = np.linalg.norm(position_m, axis=-1)
    sun_distance = np.linalg.norm(to_sun, axis=-1)
    cosine = -np.einsum("...i,...i", position_m, to_sun) / (radius * sun_distance)
    sun = np.arcsin(SUN_RADIUS_M / sun_distance)
    earth = np.arcsin(np.minimum(EQUATORIAL_RADIUS_M / radius, 1.0))
    return sun, earth, np.arccos(np.clip(cosine, -1.0, 1.0))


def _overlap(sun: FloatArray, earth: FloatArray, apart: FloatArray) -> FloatArray:
    """Area common to two discs of given radii whose centres are `apart`; all angles in rad and small for the Sun."""
    x = (apart**2 + sun**2 - earth**2) / (2 * np.maximum(apart, 1e-12))
    # Beyond these bounds one disc holds the other, or they do not touch; the formula is then a limit of itself.
    in_sun = np.clip(x / sun, -1.0, 1.0)
    in_earth = np.clip((apart - x) / earth, -1.0, 1.0)
    y = sun * np.sqrt(1 - in_sun**2)
    area = sun**2 * np.arccos(in_sun) + earth**2 * np.arccos(in_earth) - apart * y
    return np.asarray(np.where(apart >= sun + earth, 0.0, np.where(apart <= earth - sun, np.pi * sun**2, area)))
