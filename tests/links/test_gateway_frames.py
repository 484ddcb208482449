from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from satfl_env.links import RadioLinks

LINKS = RadioLinks(array_shape=(8, 4))


def planar_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    gateway = np.column_stack([rng.uniform(-1e6, 1e6, (3, 2)), np.zeros(3)])
    position = np.column_stack([rng.uniform(-2e6, 2e6, (9, 2)), np.full(9, 6e5)])
    return position, gateway, np.array([0, 0, 1, 2, 1, 3, 2, 0, 1])


def test_rates_do_not_depend_on_where_the_scene_lies_on_the_globe(at) -> None:
    position, gateway, association = planar_case()
    plain = LINKS.associated_rate_bps(at(position, gateway), association)
    assert (plain[association < 3] > 0).all()
    for rotation in Rotation.random(5, rng=np.random.default_rng(0)).as_matrix():
        moved = [points @ rotation.T + 4e6 for points in (position, gateway)]
        turned = LINKS.associated_rate_bps(at(*moved, np.tile(rotation.T, (3, 1, 1))), association)
        np.testing.assert_allclose(turned, plain, rtol=1e-8)


def test_axes_along_the_coordinates_are_the_default(at) -> None:
    position, gateway, association = planar_case()
    frame = np.tile(np.eye(3), (3, 1, 1))
    np.testing.assert_array_equal(
        LINKS.associated_rate_bps(at(position, gateway, frame), association),
        LINKS.associated_rate_bps(at(position, gateway), association),
    )


def test_satellites_below_the_horizon_do_not_interfere(at) -> None:
    # Two gateways on opposite sides of a globe, each with a satellite overhead.
    gateway = np.array([[6.4e6, 0.0, 0.0], [-6.4e6, 0.0, 0.0]])
    position = np.array([[7.0e6, 1e5, 0.0], [-7.0e6, 0.0, 1e5]])
    frame = np.array([[[0, 1, 0], [0, 0, 1], [1, 0, 0]], [[0, -1, 0], [0, 0, 1], [-1, 0, 0]]], dtype=float)
    scene = at(position, gateway, frame)
    rate = LINKS.associated_rate_bps(scene, np.array([0, 1]))
    np.testing.assert_allclose(rate, LINKS.solo_rate_bps(scene).diagonal(), rtol=1e-12)


def test_satellites_behind_the_earth_do_not_interfere(at) -> None:
    # A gateway in space looks down on two satellites, of which the second is behind the Earth and sends to another one.
    gateway = np.array([[4.2e7, 0.0, 0.0], [-4.2e7, 0.0, 0.0]])
    position = np.array([[7.0e6, 1e5, 0.0], [-7.0e6, 0.0, 1e5]])
    frame = np.array([[[0, 1, 0], [0, 0, -1], [-1, 0, 0]], [[0, -1, 0], [0, 0, -1], [1, 0, 0]]], dtype=float)
    scene = at(position, gateway, frame)
    through = LINKS.associated_rate_bps(scene, np.array([0, 1]))
    scene.clear = np.eye(2, dtype=bool)
    rate = LINKS.associated_rate_bps(scene, np.array([0, 1]))
    np.testing.assert_allclose(rate, LINKS.solo_rate_bps(scene).diagonal(), rtol=1e-12)
    assert (rate > through).all()
