"""Sunlight and the Earth's shadow, the Earth a sphere. Positions in any frame about the Earth's centre."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.orbits.frames import inertial_sun_position_m
from satfl_env.orbits.propagation import Orbits

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SUN_RADIUS_M = 695_700_000.0
# Times of entry into and exit from a shadow are right to half of this sampling step.
_SAMPLE_S = 20.0
_SAMPLES_AT_A_TIME = 64


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
    to_sun = sun_m - position_m
    radius = np.linalg.norm(position_m, axis=-1)
    sun_distance = np.linalg.norm(to_sun, axis=-1)
    cosine = -np.einsum("...i,...i", position_m, to_sun) / (radius * sun_distance)
    sun = np.arcsin(SUN_RADIUS_M / sun_distance)
    earth = np.arcsin(np.minimum(EQUATORIAL_RADIUS_M / radius, 1.0))
    apart = np.arccos(np.clip(cosine, -1.0, 1.0))
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


def _overlap(sun: FloatArray, earth: FloatArray, apart: FloatArray) -> FloatArray:
    """Area common to two discs of given radii whose centres are `apart`; all angles in rad and small for the Sun."""
    x = (apart**2 + sun**2 - earth**2) / (2 * np.maximum(apart, 1e-12))
    # Beyond these bounds one disc holds the other, or they do not touch; the formula is then a limit of itself.
    in_sun = np.clip(x / sun, -1.0, 1.0)
    in_earth = np.clip((apart - x) / earth, -1.0, 1.0)
    y = sun * np.sqrt(1 - in_sun**2)
    area = sun**2 * np.arccos(in_sun) + earth**2 * np.arccos(in_earth) - apart * y
    return np.asarray(np.where(apart >= sun + earth, 0.0, np.where(apart <= earth - sun, np.pi * sun**2, area)))
