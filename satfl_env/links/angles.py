"""Angles of the line of sight at both of its ends, from which antennas and the atmosphere take their losses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.links.contract import Geometry

FloatArray = NDArray[np.float64]


def sine_of_elevation(geometry: Geometry) -> FloatArray:
    """Sine of the sender's elevation above each gateway's array, whose boresight is up, in [-1, 1], (S, G).

    There is no refraction. On the ground that is the elevation above the horizon.
    """
    up = np.eye(3)[2:] if geometry.gateway_frame is None else geometry.gateway_frame[:, 2]
    height_m = geometry.position_m @ up.T - (geometry.gateway_position_m * up).sum(axis=-1)
    return np.asarray(np.clip(_of_senders(height_m, geometry) / geometry.distance_m, -1.0, 1.0))


def cosine_off_nadir(geometry: Geometry) -> FloatArray:
    """Cosine of the angle at the sender between nadir and each gateway, in [-1, 1], (S, G).

    Nadir is the Earth's centre, or down the z axis where gateways have no frame of their own, as on flat ground.
    """
    if geometry.gateway_frame is None:
        return sine_of_elevation(geometry)
    position_m = geometry.position_m
    radius_m = np.linalg.norm(position_m, axis=-1)[:, None]
    down_m = radius_m - position_m @ geometry.gateway_position_m.T / radius_m
    return np.asarray(np.clip(_of_senders(down_m, geometry) / geometry.distance_m, -1.0, 1.0))


def _of_senders(values: FloatArray, geometry: Geometry) -> FloatArray:
    """Values of every pair, (S, G), with those of the pair's sender where another satellite sends for it."""
    if geometry.sender is None or geometry.sender.ndim == 1:
        return values
    return values[geometry.sender, np.arange(values.shape[1])]
