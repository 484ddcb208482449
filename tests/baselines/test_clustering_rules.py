from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.clustering import (
    jensen_shannon,
    midpoint_threshold,
    one_cluster,
    random_clusters,
    relation_matrix,
    singletons,
    transitive_closure,
)


def similarity_matrix(size: int, seed: int, levels: int) -> np.ndarray:
    """Random symmetric similarities with ones on the diagonal; few levels make many ties."""
    half = np.triu(np.random.default_rng(seed).integers(1, levels + 1, (size, size)) / (levels + 1), 1)
    return half + half.T + np.eye(size)


matrices = st.builds(similarity_matrix, st.integers(1, 15), st.integers(0, 2**32), st.integers(1, 40))


def closure_by_hand(relation: np.ndarray) -> list[int]:
    """Spread the lowest label until r_ij + r_jk <= r_ik + 1 holds."""
    labels = list(range(len(relation)))
    changed = True
    while changed:
        changed = False
        for i, j in np.argwhere(relation):
            lowest = min(labels[i], labels[j])
            if labels[i] != lowest or labels[j] != lowest:
                labels[i] = labels[j] = lowest
                changed = True
    return labels


def test_the_papers_example(make_state):
    similarity = np.array([[1.0, 0.804, 0.515], [0.804, 1.0, 0.419], [0.515, 0.419, 1.0]])
    assert midpoint_threshold(similarity) == pytest.approx(0.612, abs=6e-4)
    assert relation_matrix(similarity, midpoint_threshold(similarity)).astype(int).tolist() == [
        [1, 1, 0],
        [1, 1, 0],
        [0, 0, 1],
    ]
    assert jensen_shannon(make_state(3, similarity=similarity)).tolist() == [0, 0, 2]


def test_chains_are_closed():
    relation = np.eye(6, dtype=bool)
    for i, j in [(5, 3), (3, 1), (2, 4)]:
        relation[i, j] = relation[j, i] = True
    assert transitive_closure(relation).tolist() == [0, 1, 2, 1, 2, 1]


@settings(max_examples=100, deadline=None)
@given(similarity=matrices)
def test_clusters_are_those_of_a_closure_by_hand(make_state, similarity):
    relation = relation_matrix(similarity, midpoint_threshold(similarity))
    labels = jensen_shannon(make_state(len(similarity), similarity=similarity))
    assert labels.tolist() == closure_by_hand(relation)


@settings(max_examples=100, deadline=None)
@given(similarity=matrices)
def test_labels_form_a_partition_named_after_lowest_members(make_state, similarity):
    labels = jensen_shannon(make_state(len(similarity), similarity=similarity))
    assert labels.shape == (len(similarity),)
    for label in set(labels.tolist()):
        assert np.flatnonzero(labels == label)[0] == label
    # Between clusters nobody is related; everyone inside is linked by the closure test above.
    threshold = midpoint_threshold(similarity)
    assert (similarity[labels[:, None] != labels] < threshold).all()


@settings(max_examples=100, deadline=None)
@given(similarity=matrices, seed=st.integers(0, 2**32))
def test_the_partition_does_not_depend_on_the_order_of_satellites(make_state, similarity, seed):
    order = np.random.default_rng(seed).permutation(len(similarity))
    labels = jensen_shannon(make_state(len(similarity), similarity=similarity))
    shuffled = jensen_shannon(make_state(len(similarity), similarity=similarity[np.ix_(order, order)]))
    same, same_shuffled = labels[:, None] == labels, shuffled[:, None] == shuffled
    assert np.array_equal(same[np.ix_(order, order)], same_shuffled)


def test_degenerate_networks_are_one_cluster(make_state):
    assert jensen_shannon(make_state(1)).tolist() == [0]
    assert jensen_shannon(make_state(2, similarity=np.array([[1, 0.4], [0.4, 1]]))).tolist() == [0, 0]
    equal = np.full((5, 5), 0.3) + 0.7 * np.eye(5)
    assert jensen_shannon(make_state(5, similarity=equal)).tolist() == [0] * 5
    noise = np.triu(np.random.default_rng(0).normal(0, 1e-15, (5, 5)), 1)
    assert jensen_shannon(make_state(5, similarity=equal + noise + noise.T)).tolist() == [0] * 5


def test_fixed_and_random_labels(make_state):
    state = make_state(50)
    assert one_cluster(state).tolist() == [0] * 50
    assert singletons(state).tolist() == list(range(50))
    drawn = random_clusters(state, np.random.default_rng(3))
    assert drawn.shape == (50,)
    assert set(drawn.tolist()) <= set(range(50))
    assert np.array_equal(drawn, random_clusters(state, np.random.default_rng(3)))
