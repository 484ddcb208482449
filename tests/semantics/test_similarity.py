from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from satfl_env.semantics import jensen_shannon_divergence, semantic_similarity

counts = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


def test_similarity_agrees_with_scipy():
    rng = np.random.default_rng(0)
    pmfs = rng.dirichlet([0.2] * 5, size=12)
    pmfs[3], pmfs[4] = np.eye(5)[0], np.eye(5)[1]
    expected = [[1 - jensenshannon(p, q) ** 2 for q in pmfs] for p in pmfs]
    assert semantic_similarity(pmfs) == pytest.approx(np.array(expected), abs=1e-12)


def test_equal_distributions_and_pieces_of_the_matrix_change_nothing(monkeypatch):
    monkeypatch.setattr("satfl_env.semantics.similarity._CHUNK", 40)
    pmfs = np.random.default_rng(0).dirichlet([0.2] * 5, size=6)[[0, 1, 1, 2, 0, 3, 4, 5, 1]]
    whole = 1 - jensen_shannon_divergence(pmfs[:, None], pmfs[None])
    assert np.array_equal(semantic_similarity(pmfs), whole)


@given(counts, counts)
def test_divergence_is_symmetric_bounded_and_zero_for_equals(first: list[int], second: list[int]):
    p, q = np.array(first) / sum(first), np.array(second) / sum(second)
    divergence = float(jensen_shannon_divergence(p, q))
    assert 0.0 <= divergence <= np.log(2)
    assert divergence == float(jensen_shannon_divergence(q, p))
    assert float(jensen_shannon_divergence(p, p)) == 0.0
    assert divergence == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-12)


def test_disjoint_tasks_are_as_far_apart_as_can_be():
    similarity = semantic_similarity(np.eye(3))
    assert similarity == pytest.approx(np.where(np.eye(3), 1.0, 1 - np.log(2)))


@pytest.mark.parametrize("bad", [[0.5, 0.6], [1.5, -0.5], [np.nan, 1.0]])
def test_what_is_no_distribution_is_rejected(bad: list[float]):
    with pytest.raises(ValueError, match="probability mass"):
        jensen_shannon_divergence(bad, [0.5, 0.5])
    with pytest.raises(ValueError, match="shape"):
        semantic_similarity(np.array([0.5, 0.5]))
