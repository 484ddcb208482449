"""The factorised interference against patterns formed pair by pair."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.links import RadioLinks, array_features, bandwidth_share_hz, sinr, upa_gain
from satfl_env.links.channel import path_gain

elements = st.integers(1, 17)


def unit_vectors(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    vectors[:, 2] = np.abs(vectors[:, 2])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(max_examples=60, deadline=None)
@given(array_shape=st.tuples(elements, elements), seed=st.integers(0, 2**32))
def test_inner_products_of_features_are_the_pattern(array_shape: tuple[int, int], seed: int) -> None:
    directions = unit_vectors(12, seed)
    along_x, along_y = array_features(directions, array_shape)
    assert along_x.shape == (2 * array_shape[0] - 1, 12)
    pattern = (along_x.T @ along_x) * (along_y.T @ along_y)
    np.testing.assert_allclose(pattern, upa_gain(directions[:, None], directions, array_shape), atol=1e-12)


def test_features_of_several_arrays_are_those_of_each() -> None:
    directions = unit_vectors(12, 0).reshape(3, 4, 3)
    stacked = array_features(directions, (16, 5))
    each = [array_features(some, (16, 5)) for some in directions]
    for along, parts in zip(stacked, zip(*each, strict=True), strict=True):
        np.testing.assert_allclose(along, np.stack(parts), atol=1e-12)


def pairwise_sinr(
    position: np.ndarray,
    gateway: np.ndarray,
    gain: np.ndarray,
    association: np.ndarray,
    power_w: np.ndarray,
    noise_w: np.ndarray,
) -> np.ndarray:
    """Equation 13 with every pattern formed; 1 GHz bands in equal parts, arrays of 16 x 16 elements."""
    share = bandwidth_share_hz(association, len(gateway), 1e9, 1e9)
    values = np.zeros(len(position))
    for s in np.flatnonzero(association < len(gateway)):
        g = association[s]
        direction = position - gateway[g]
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        others = (association != g) & (association < len(gateway)) & (direction[:, 2] > 0)
        pattern = upa_gain(direction[s], direction[others], (16, 16))
        interference_w = (power_w[others] * gain[others, g] * pattern).sum() * share[s] / 1e9
        values[s] = power_w[s] * gain[s, g] / (interference_w + noise_w[s])
    return values


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("noise_hz", [1e-20, 1e-30])
@pytest.mark.parametrize("count", [1, 10, 300, 2500])
def test_sinr_of_many_satellites_is_that_of_all_pairs(count: int, noise_hz: float, equal: bool) -> None:
    rng = np.random.default_rng(0)
    # Every fourth is below the horizon.
    height = np.where(np.arange(count) % 4 == 3, -5e5, 5e5)
    position = np.column_stack([rng.uniform(-2e6, 2e6, (count, 2)), height])
    gateway = np.column_stack([rng.uniform(-2e6, 2e6, (10, 2)), np.zeros(10)])
    association = rng.integers(0, 11, count)
    gain = 1e3 / np.linalg.norm(position[:, None] - gateway, axis=-1) ** 2
    share = bandwidth_share_hz(association, 10, 1e9, 1e9)
    power_w = np.full(count, 10.0) if equal else rng.uniform(0.1, 40.0, count)
    sends = association < 10
    found = sinr(
        position[sends],
        gateway,
        gain[sends],
        association[sends],
        share[sends],
        bandwidth_hz=1e9,
        transmit_power_w=10.0 if equal else power_w[sends],
        noise_w=noise_hz * share[sends],
        array_shape=(16, 16),
    )
    expected = pairwise_sinr(position, gateway, gain, association, power_w, noise_hz * share)
    np.testing.assert_allclose(found, expected[sends], rtol=1e-11)


@pytest.mark.parametrize("options", [{}, {"satellite_pattern": "nadir", "scan_exponent": 1.3}])
def test_satellites_that_sit_out_cost_nothing_and_change_nothing(at, monkeypatch, options) -> None:
    asked = []

    def watched(distance_m: np.ndarray, **values: Any) -> np.ndarray:
        asked.append(distance_m.shape)
        return path_gain(distance_m, **values)

    monkeypatch.setattr(sys.modules["satfl_env.links.radio"], "path_gain", watched)
    links, scene = RadioLinks(**options), at(1e6 * unit_vectors(9, 0), np.eye(2, 3))
    association = np.array([2, 0, 2, 1, 1, 2, 2, 0, 2])
    sends = association < 2
    rate_bps = links.associated_rate_bps(scene, association)
    assert asked == [(4, 2)]
    only_they = links.associated_rate_bps(at(scene.position_m[sends], scene.gateway_position_m), association[sends])
    np.testing.assert_array_equal(rate_bps[~sends], 0.0)
    np.testing.assert_allclose(rate_bps[sends], only_they, rtol=1e-12)


def test_without_senders_nobody_has_a_signal(at) -> None:
    rate = RadioLinks().associated_rate_bps(at(1e6 * unit_vectors(4, 0), np.eye(2, 3)), np.full(4, 2))
    assert rate.tolist() == [0.0] * 4


def test_an_interferer_in_a_null_does_no_harm(at) -> None:
    # Half a wavelength apart, 16 elements: the first null lies at a direction cosine of 2 / 16.
    gateway = np.array([[0.0, 0.0, 0.0], [1e6, 0.0, 0.0]])
    null = np.array([1 / 8, 0.0, np.sqrt(1 - 1 / 64)])
    scene = at(np.array([[0.0, 0.0, 5e5], 5e5 * null]), gateway)
    links = RadioLinks(array_shape=(16, 16))
    rate = links.associated_rate_bps(scene, np.array([0, 1]))
    assert rate[0] == pytest.approx(links.solo_rate_bps(scene)[0, 0], rel=1e-9)
