"""What each satellite has seen: the images that lie under its ground track by day."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from satfl_env.data.images import IntArray
from satfl_env.imports import import_tidily

EARTH_RADIUS_M = 6_371_000.0

DegreeArray = npt.NDArray[np.float64]

# The track is followed in steps of at most this length, and this share of a swath.
_STEP_M, _STEPS_PER_SWATH = 4e3, 64


def places_under_track(
    places_deg: DegreeArray,
    latitude_deg: DegreeArray,
    longitude_deg: DegreeArray,
    sun_elevation_deg: DegreeArray,
    *,
    swath_m: float,
    min_sun_elevation_deg: float,
) -> list[IntArray]:
    """Which places each satellite's sensor sweeps in daylight; satellites may overlap.

    A place is seen if it lies within half a swath of the track in daylight, on a sphere. None is missed: rounding to
    steps widens a swath by 0.02 % and daylight by 4 km at most. Between the points given the track and the height of
    the Sun are those of a cubic spline: points up to some degrees apart will do.

    Args:
        places_deg: latitude and longitude of the places, (N, 2).
        latitude_deg: latitude of the sub-satellite points at T >= 2 equally spaced times, (T, S).
        longitude_deg: their longitude, (T, S).
        sun_elevation_deg: height of the Sun at each of them, (T, S).
        swath_m: width of the strip that the sensor sees, positive.
        min_sun_elevation_deg: least height of the Sun that gives enough light.

    Returns:
        one ascending int64 array of indices for each satellite, empty where it saw nothing.

    Raises:
        ValueError: `swath_m` not positive, or shapes that do not fit.
    """
    if not 0 < swath_m < np.inf:
        raise ValueError(f"swath_m: {swath_m} is not positive and finite")
    if not latitude_deg.shape == longitude_deg.shape == sun_elevation_deg.shape:
        raise ValueError(
            f"latitude_deg, longitude_deg, sun_elevation_deg: shapes {latitude_deg.shape}, {longitude_deg.shape}, "
            f"{sun_elevation_deg.shape} differ"
        )
    places = _unit_vectors(places_deg[:, 0], places_deg[:, 1])
    points = _unit_vectors(latitude_deg, longitude_deg)
    step_m = min(_STEP_M, swath_m / _STEPS_PER_SWATH)
    # The chord through the Earth instead of the arc along its surface.
    reach = 2 * np.sin(min(np.hypot(swath_m, step_m) / 2 / EARTH_RADIUS_M, np.pi) / 2)
    farthest_m = EARTH_RADIUS_M * float(np.linalg.norm(np.diff(points, axis=0), axis=-1).max())
    steps = int(np.ceil(farthest_m / step_m))
    seen = []
    for track, sun_deg in zip(points.swapaxes(0, 1), sun_elevation_deg.T, strict=True):
        # A step counts as light if one of its ends is.
        light = _scipy("ndimage").binary_dilation(_refined(sun_deg, steps) >= min_sun_elevation_deg)
        lit = _refined(track, steps)[light]
        lit /= np.linalg.norm(lit, axis=-1, keepdims=True)
        # Unbalanced trees are made faster; places far away, most of all, are not searched for.
        tree = _scipy("spatial").cKDTree(lit, balanced_tree=False, compact_nodes=False)
        distance, _ = tree.query(places, distance_upper_bound=1.01 * reach)
        seen.append(np.flatnonzero(distance <= reach).astype(np.int64))
    return seen


def _scipy(module: str) -> Any:
    """A module of SciPy: its import takes half a second, which other ways of splitting images never need."""
    return import_tidily(f"scipy.{module}")


def _refined(values: DegreeArray, steps: int) -> DegreeArray:
    """Values (T, ...) at equally spaced times, and between each two of them in that many steps."""
    times = np.arange(len(values))
    spline = _scipy("interpolate").CubicSpline(times, values)
    fine: DegreeArray = spline(np.linspace(0, times[-1], steps * int(times[-1]) + 1))
    return fine


def _unit_vectors(latitude_deg: DegreeArray, longitude_deg: DegreeArray) -> DegreeArray:
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    level = np.cos(latitude)
    return np.stack([level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)], axis=-1)
