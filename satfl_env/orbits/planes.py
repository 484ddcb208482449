"""Which satellites share an orbital plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.propagation import Orbits

IntArray = NDArray[np.int64]

# Satellites of a plane keep within some tenths of a degree; the planes of Starlink's first shell are 4 degrees apart.
SAME_PLANE_DEG = 1.0


def plane_numbers(orbits: Orbits, *, same_plane_deg: float = SAME_PLANE_DEG) -> IntArray:
    """Number of each satellite's orbital plane at the epoch, (S,), counted from 0.

    Two satellites share a plane if the poles of their orbits are at most `same_plane_deg` apart, or if others link them
    in this way. So planes are told apart by inclination and node, whatever the satellites are called.
    """
    # Takes half a second, and only families of catalogues ask for it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    position, velocity = (states[0] for states in orbits.states(np.zeros(1)))
    momentum = np.cross(position, velocity)
    poles = momentum / np.linalg.norm(momentum, axis=-1, keepdims=True)
    pairs = KDTree(poles).query_pairs(2 * np.sin(np.radians(same_plane_deg) / 2), output_type="ndarray")
    linked = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(poles), len(poles)))
    return np.asarray(connected_components(linked, directed=False)[1], dtype=np.int64)
