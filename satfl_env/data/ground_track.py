"""What each satellite has seen: the images that lie under its ground track by day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from satfl_env.data.images import IntArray

EARTH_RADIUS_M = 6_371_000.0

DegreeArray = npt.NDArray[np.float64]


def places_under_track(
    places_deg: DegreeArray,
    latitude_deg: DegreeArray,
    longitude_deg: DegreeArray,
    daylight: npt.NDArray[np.bool_],
    *,
    swath_m: float,
) -> list[IntArray]:
    """Which places each satellite's sensor sweeps in daylight; satellites may overlap.

    A place is seen if it lies within half a swath of a sub-satellite point in daylight, on a sphere. Points should
    follow one another more closely than half a swath, so that no place is skipped.

    Args:
        places_deg: latitude and longitude of the places, (N, 2).
        latitude_deg: latitude of the sub-satellite points at T times, (T, S).
        longitude_deg: their longitude, (T, S).
        daylight: whether there is enough light at each of them, (T, S).
        swath_m: width of the strip that the sensor sees, positive.

    Returns:
        one ascending int64 array of indices for each satellite, empty where it saw nothing.

    Raises:
        ValueError: `swath_m` not positive, or shapes that do not fit.
    """
    if not 0 < swath_m < np.inf:
        raise ValueError(f"swath_m: {swath_m} is not positive and finite")
    if not latitude_deg.shape == longitude_deg.shape == daylight.shape:
        raise ValueError(
            f"latitude_deg, longitude_deg, daylight: shapes {latitude_deg.shape}, {longitude_deg.shape}, "
            f"{daylight.shape} differ"
        )
    tree = cKDTree(_unit_vectors(places_deg[:, 0], places_deg[:, 1]))
    points = _unit_vectors(latitude_deg, longitude_deg)
    # The chord through the Earth instead of the arc along its surface.
    reach = 2 * np.sin(min(swath_m / 2 / EARTH_RADIUS_M, np.pi) / 2)
    return [
        _union(tree.query_ball_point(track[lit], reach))
        for track, lit in zip(points.swapaxes(0, 1), daylight.T, strict=True)
    ]


def _unit_vectors(latitude_deg: DegreeArray, longitude_deg: DegreeArray) -> DegreeArray:
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    level = np.cos(latitude)
    return np.stack([level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)], axis=-1)


def _union(seen: npt.NDArray[np.object_]) -> IntArray:
    return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *seen]).astype(np.int64))
