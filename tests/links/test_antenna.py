from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import diric

from satfl_env.links import upa_gain

azimuth = st.floats(0, 2 * np.pi)
elevation = st.floats(0, np.pi / 2)
elements = st.integers(1, 17)


def direction(azimuth_rad: float, elevation_rad: float) -> np.ndarray:
    level = np.cos(elevation_rad)
    return np.array([level * np.cos(azimuth_rad), level * np.sin(azimuth_rad), np.sin(elevation_rad)])


def element_sum(steered: np.ndarray, looked: np.ndarray, array_shape: tuple[int, int]) -> float:
    """Add the fields of all elements, weighted to be in phase towards `steered`."""
    total = 0j
    for m in range(array_shape[0]):
        for n in range(array_shape[1]):
            place = 0.5 * np.array([m, n, 0.0])
            total += np.exp(2j * np.pi * place @ looked) * np.exp(-2j * np.pi * place @ steered)
    return float(abs(total / (array_shape[0] * array_shape[1])) ** 2)


@settings(max_examples=100, deadline=None)
@given(
    steer=st.tuples(azimuth, elevation), look=st.tuples(azimuth, elevation), array_shape=st.tuples(elements, elements)
)
def test_pattern_is_the_sum_over_elements(
    steer: tuple[float, float], look: tuple[float, float], array_shape: tuple[int, int]
) -> None:
    steered, looked = direction(*steer), direction(*look)
    gain = float(upa_gain(steered, looked, array_shape))
    assert gain == pytest.approx(element_sum(steered, looked, array_shape), abs=1e-9)
    assert 0 <= gain <= 1
    assert upa_gain(steered, steered, array_shape) == 1


def test_grating_lobe_from_horizon_to_horizon() -> None:
    east, west = direction(0.0, 0.0), direction(np.pi, 0.0)
    assert upa_gain(east, west, (16, 16)) == pytest.approx(element_sum(east, west, (16, 16)))


def test_linear_array_is_scipys_dirichlet_kernel() -> None:
    looked = np.stack([direction(0.0, e) for e in np.linspace(0.01, np.pi - 0.01, 200)])
    gain = upa_gain(np.array([0.0, 0.0, 1.0]), looked, (16, 1))
    np.testing.assert_allclose(gain, diric(np.pi * looked[:, 0], 16) ** 2, atol=1e-12)
