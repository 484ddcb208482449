"""Which satellites share an orbital plane."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.orbits import KeplerOrbits, load_elements, plane_numbers, samples, walker


def test_planes_of_the_samples_are_those_that_their_elements_state():
    numbers = plane_numbers(load_elements(samples()["polar-like"]))
    assert numbers.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    # Sentinel-1, -2 and -3 have one inclination and node each.
    assert plane_numbers(load_elements(samples()["sentinel-like"])).tolist() == [0, 0, 1, 1, 1, 2, 2]


def test_planes_of_a_dense_shell_are_told_apart():
    orbits = walker(1584, 72, 39, altitude_m=550e3, inclination_deg=53, epoch="2026-01-01")
    np.testing.assert_array_equal(plane_numbers(orbits), np.repeat(np.arange(72), 22))


@given(st.lists(st.tuples(st.integers(50, 60), st.integers(0, 12)), min_size=1, max_size=25), st.floats(0.6, 4.0))
@settings(max_examples=40, deadline=None)
def test_planes_are_what_poles_link(planes_deg: list[tuple[int, int]], same_plane_deg: float):
    """Brute force: angles between all poles from inclinations and nodes, and the closure of who is near whom."""
    inclination, node = np.radians(np.array(planes_deg, dtype=np.float64)).T
    zero = np.zeros(len(planes_deg))
    orbits = KeplerOrbits("2026-01-01", zero + 7e6, zero, inclination, node, zero, np.arange(len(zero)), j2=False)
    level = np.sin(inclination)
    poles = np.stack([level * np.sin(node), -level * np.cos(node), np.cos(inclination)], axis=-1)
    angle_deg = np.degrees(2 * np.arcsin(np.linalg.norm(poles[:, None] - poles, axis=-1) / 2))
    if (np.abs(angle_deg - same_plane_deg) < 1e-6).any():
        return
    linked = angle_deg < same_plane_deg
    for _ in poles:
        linked = linked @ linked
    numbers = plane_numbers(orbits, same_plane_deg=same_plane_deg)
    np.testing.assert_array_equal(numbers[:, None] == numbers, linked)
    assert set(numbers) == set(range(numbers.max() + 1))
