from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from satfl_env.federated import component_means, components, metropolis_weights
from tests.graphs import Graph, graphs


def test_metropolis_weights_of_a_path_by_hand() -> None:
    """Three satellites in a row: 1 / (1 + 2) on both links."""
    expected = np.array([[2, 1, 0], [1, 1, 1], [0, 1, 2]]) / 3
    np.testing.assert_allclose(metropolis_weights(np.array([0, 1]), np.array([1, 2]), 3), expected)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_metropolis_weights_are_doubly_stochastic_and_use_links_alone(graph: Graph) -> None:
    weights = metropolis_weights(*graph)
    np.testing.assert_array_equal(weights, weights.T)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights >= -1e-15).all()
    linked = np.eye(graph.num_satellites, dtype=bool)
    linked[graph.one, graph.other] = linked[graph.other, graph.one] = True
    assert (weights[~linked] == 0).all()


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_components_are_those_that_paths_reach(graph: Graph) -> None:
    reach = np.eye(graph.num_satellites, dtype=np.int64)
    reach[graph.one, graph.other] = reach[graph.other, graph.one] = 1
    reached = np.linalg.matrix_power(reach, graph.num_satellites) > 0
    component = components(*graph)
    np.testing.assert_array_equal(component[:, None] == component, reached)
    means = component_means(component)
    np.testing.assert_allclose(means, reached / reached.sum(axis=1))
    np.testing.assert_allclose(means @ means, means)


@pytest.mark.parametrize("number", [3, 8, 9])
def test_consensus_on_a_ring_is_as_fast_as_its_eigenvalues_say(number: int) -> None:
    """Everyone weighs 1/3: a wave of k periods is an eigenvector, of eigenvalue (1 + 2 cos(2 pi k / n)) / 3."""
    own = np.arange(number)
    weights = metropolis_weights(own, (own + 1) % number, number)
    for waves in range(number):
        angle = 2 * np.pi * waves / number
        values = np.cos(angle * own)
        factor = (1 + 2 * np.cos(angle)) / 3
        np.testing.assert_allclose(np.linalg.matrix_power(weights, 7) @ values, factor**7 * values, atol=1e-12)
