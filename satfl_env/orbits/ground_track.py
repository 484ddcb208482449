"""What lies below a satellite: the sub-satellite point, and how high the Sun stands there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satfl_env.imports import import_tidily
from satfl_env.orbits.frames import sun_position_m
from satfl_env.orbits.propagation import Orbits, earth_fixed_states

FloatArray = NDArray[np.float64]

_WGS84 = 1


@dataclass(frozen=True, eq=False)
class GroundTrack:
    """Sub-satellite points at T times (WGS 84), in degrees.

    Attributes:
        latitude_deg: Geodetic latitude in [-90, 90], (T, S).
        longitude_deg: East positive, in [-180, 180], (T, S).
        sun_elevation_deg: Height of the Sun above the horizon of the point, in [-90, 90], (T, S).
    """

    latitude_deg: FloatArray
    longitude_deg: FloatArray
    sun_elevation_deg: FloatArray


def ground_track(orbits: Orbits, time_s: FloatArray) -> GroundTrack:
    """Sub-satellite points of all satellites at each time (T,), in s after the orbits' epoch; it may be negative."""
    position, _ = earth_fixed_states(orbits, time_s)
    latitude, longitude = geodetic_deg(position)
    up = _vertical(latitude, longitude)
    sun = sun_position_m(orbits.epoch, time_s)
    sine = np.einsum("tsi,ti->ts", up, sun / np.linalg.norm(sun, axis=-1, keepdims=True))
    return GroundTrack(latitude, longitude, np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))


def geodetic(position_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Geodetic latitude and longitude in degrees and height in m (WGS 84) of Earth-fixed positions (..., 3)."""
    longitude, latitude, height_m = import_tidily("erfa").gc2gd(_WGS84, position_m)
    return np.degrees(latitude), np.degrees(longitude), height_m


def geodetic_deg(position_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Geodetic latitude and longitude (WGS 84) of Earth-fixed positions (..., 3), in degrees, (...) each."""
    return geodetic(position_m)[:2]


def _vertical(latitude_deg: FloatArray, longitude_deg: FloatArray) -> FloatArray:
    """Unit vectors straight up, (..., 3)."""
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    level = np.cos(latitude)
    return np.stack([level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)], axis=-1)
