"""Lines on an equirectangular map that goes on beyond the date line, as longitude and latitude in degrees."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits import geodetic_deg

FloatArray = NDArray[np.float64]

# How far the map goes on beyond the date line on both sides, so that nothing near it is seen in halves alone.
BEYOND_DEG = 12.0
_STEPS, _TURN_STEPS = 33, 181


def copies(lines: Iterable[FloatArray]) -> tuple[list[FloatArray], list[int]]:
    """Lines that do not jump at the date line: what leaves the map at one side is in a copy that enters at the other.

    Args:
        lines: Points of each, (N, 2); from one to the next it goes the short way.

    Returns:
        Each line as often as it is on the map, and the number of the line that each is a copy of.
    """
    unwrapped = [np.unwrap(line, period=360.0, axis=0) * (1, 0) + line * (0, 1) for line in lines]
    turns = [_turns(line[:, 0]) for line in unwrapped]
    which = [number for number, own in enumerate(turns) for _ in own]
    return [
        np.add(line, (360.0 * turn, 0.0)) for line, own in zip(unwrapped, turns, strict=True) for turn in own
    ], which


def places(longitude_deg: FloatArray, border_deg: float = 0.0) -> tuple[FloatArray, NDArray[np.int64]]:
    """Where points are on the map, also beyond the date line, at least `border_deg` inside its edges.

    Args:
        longitude_deg: Longitudes in [-180, 180], (N,).
        border_deg: At most half of `BEYOND_DEG`, so that every point is there at least once.

    Returns:
        Longitudes and numbers of the points, (M,) each, M from N to 2 N.
    """
    shifted = longitude_deg + np.array([[0.0], [-360.0], [360.0]])
    _, which = inside = np.nonzero(np.abs(shifted) <= 180.0 + BEYOND_DEG - border_deg)
    return shifted[inside], which


def segments(positions_m: FloatArray) -> FloatArray:
    """What lies below a way that is straight in space from each Earth-fixed position (N, 3) to the next, (M, 2)."""
    shares = np.linspace(0.0, 1.0, _STEPS)[:, None]
    ways = [start + shares * (end - start) for start, end in pairwise(positions_m)]
    return _line(*geodetic_deg(np.concatenate(ways)))


def circle(centre: FloatArray, radius_rad: float) -> FloatArray:
    """A circle on a globe about a direction (3,), (M, 2), as it is seen from the Earth's centre."""
    middle = centre / np.linalg.norm(centre)
    across = np.cross(middle, np.eye(3)[np.abs(middle).argmin()])
    across /= np.linalg.norm(across)
    turn = np.linspace(0.0, 2 * np.pi, _TURN_STEPS)[:, None]
    rim = np.cos(radius_rad) * middle + np.sin(radius_rad) * (
        np.cos(turn) * across + np.sin(turn) * np.cross(middle, across)
    )
    return _line(np.degrees(np.arcsin(rim[:, 2].clip(-1.0, 1.0))), np.degrees(np.arctan2(rim[:, 1], rim[:, 0])))


def _line(latitude_deg: FloatArray, longitude_deg: FloatArray) -> FloatArray:
    return np.stack([longitude_deg, latitude_deg], axis=-1)


def _turns(longitude_deg: FloatArray) -> range:
    """The whole turns by which a line is on the map if it is moved by them."""
    edge_deg = 180.0 + BEYOND_DEG
    first, last = -edge_deg - longitude_deg.max(), edge_deg - longitude_deg.min()
    return range(int(np.ceil(first / 360)), int(np.floor(last / 360)) + 1)
