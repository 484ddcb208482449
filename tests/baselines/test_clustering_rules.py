from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import jensenshannon

from satfl_baselines.clustering import (
    cluster_tasks,
    jensen_shannon,
    largest_gap_threshold,
    midpoint_threshold,
    one_cluster,
    random_clusters,
    relation_matrix,
    similar_groups,
    similar_updates,
    similarity_threshold,
    singletons,
    transitive_closure,
)
from tests.factories import make_state


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


def test_the_papers_example():
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
def test_clusters_are_those_of_a_closure_by_hand(similarity):
    relation = relation_matrix(similarity, midpoint_threshold(similarity))
    labels = jensen_shannon(make_state(len(similarity), similarity=similarity))
    assert labels.tolist() == closure_by_hand(relation)


@settings(max_examples=100, deadline=None)
@given(size=st.integers(0, 20), seed=st.integers(0, 2**32), density=st.floats(0, 0.3))
def test_the_closure_has_the_connected_components_that_scipy_finds(size, seed, density):
    half = np.random.default_rng(seed).random((size, size)) < density
    labels = transitive_closure(half | half.T)
    _, component = connected_components(csr_array(half), directed=False)
    assert ((labels[:, None] == labels) == (component[:, None] == component)).all()
    assert all(labels[label] == label <= index for index, label in enumerate(labels))


@settings(max_examples=100, deadline=None)
@given(similarity=matrices)
def test_labels_form_a_partition_named_after_lowest_members(similarity):
    labels = jensen_shannon(make_state(len(similarity), similarity=similarity))
    assert labels.shape == (len(similarity),)
    for label in set(labels.tolist()):
        assert np.flatnonzero(labels == label)[0] == label
    # Between clusters nobody is related; everyone inside is linked by the closure test above.
    threshold = midpoint_threshold(similarity)
    assert (similarity[labels[:, None] != labels] < threshold).all()


@settings(max_examples=100, deadline=None)
@given(similarity=matrices, seed=st.integers(0, 2**32))
def test_the_partition_does_not_depend_on_the_order_of_satellites(similarity, seed):
    order = np.random.default_rng(seed).permutation(len(similarity))
    labels = jensen_shannon(make_state(len(similarity), similarity=similarity))
    shuffled = jensen_shannon(make_state(len(similarity), similarity=similarity[np.ix_(order, order)]))
    same, same_shuffled = labels[:, None] == labels, shuffled[:, None] == shuffled
    assert np.array_equal(same[np.ix_(order, order)], same_shuffled)


def test_degenerate_networks_are_one_cluster():
    assert jensen_shannon(make_state(1)).tolist() == [0]
    assert jensen_shannon(make_state(2, similarity=np.array([[1, 0.4], [0.4, 1]]))).tolist() == [0, 0]
    equal = np.full((5, 5), 0.3) + 0.7 * np.eye(5)
    assert jensen_shannon(make_state(5, similarity=equal)).tolist() == [0] * 5
    noise = np.triu(np.random.default_rng(0).normal(0, 1e-15, (5, 5)), 1)
    assert jensen_shannon(make_state(5, similarity=equal + noise + noise.T)).tolist() == [0] * 5


def test_fixed_and_random_labels():
    state = make_state(50)
    assert one_cluster(state).tolist() == [0] * 50
    assert singletons(state).tolist() == list(range(50))
    drawn = random_clusters(state, np.random.default_rng(3))
    assert drawn.shape == (50,)
    assert set(drawn.tolist()) <= set(range(50))
    assert np.array_equal(drawn, random_clusters(state, np.random.default_rng(3)))


# Shares of "1", "2", "6" and "other" at the paper's three satellites.
PAPER = np.array([[0.0, 0.7, 0.0, 0.3], [0.45, 0.45, 0.0, 0.1], [0.0, 0.0, 0.7, 0.3]])
RULES = ("midpoint", "largest-gap")


@pytest.mark.parametrize("threshold", [*RULES, 0.612])
def test_algorithm_1_finds_the_papers_clusters(threshold):
    assert cluster_tasks(PAPER, threshold).tolist() == [0, 0, 2]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(2, 8), tau=st.floats(0.3, 1.0))
def test_algorithm_1_is_a_closure_over_scipys_divergence(seed, size, tau):
    pmfs = np.random.default_rng(seed).dirichlet(np.full(4, 0.3), size)
    divergence = np.array([[jensenshannon(p, q) ** 2 for q in pmfs] for p in pmfs])
    relation = np.nan_to_num(1 - divergence, nan=1.0) >= tau - 1e-6
    np.fill_diagonal(relation, True)
    assert cluster_tasks(pmfs, tau).tolist() == closure_by_hand(relation)


@pytest.mark.parametrize("threshold", [*RULES, 0.0, 1.0])
def test_identical_tasks_are_one_cluster(threshold):
    assert cluster_tasks(np.tile(PAPER[0], (4, 1)), threshold).tolist() == [0, 0, 0, 0]


def test_disjoint_tasks_are_all_alike_to_the_rules_and_apart_by_a_number():
    # All pairs are equally dissimilar, so that lowest, highest and midpoint coincide: the rules see no contrast.
    for rule in RULES:
        assert cluster_tasks(np.eye(3), rule).tolist() == [0, 0, 0]
    assert cluster_tasks(np.eye(3), 0.5).tolist() == [0, 1, 2]
    # Similarity never falls below 1 - log 2.
    assert cluster_tasks(np.eye(3), 1 - np.log(2)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("threshold", [*RULES, 0.0, 0.612])
def test_a_satellite_without_samples_stays_alone_and_changes_nothing_for_others(threshold):
    labels = cluster_tasks(np.insert(PAPER, 1, 0.0, axis=0), threshold)
    assert labels[1] == 1
    rest = np.array([0, 2, 3])
    assert labels[rest].tolist() == rest[cluster_tasks(PAPER, threshold)].tolist()


@pytest.mark.parametrize("threshold", [*RULES, 0.0, 1.0])
def test_no_satellite_one_satellite_and_nobody_with_samples(threshold):
    assert cluster_tasks(np.zeros((0, 4)), threshold).tolist() == []
    assert cluster_tasks(PAPER[:1], threshold).tolist() == [0]
    assert cluster_tasks(np.zeros((2, 4)), threshold).tolist() == [0, 1]


def test_tau_of_0_joins_everyone_and_tau_of_1_only_the_identical():
    pmfs = np.array([*PAPER, PAPER[1]])
    assert cluster_tasks(pmfs, 0.0).tolist() == [0, 0, 0, 0]
    assert cluster_tasks(pmfs, 1.0).tolist() == [0, 1, 2, 1]


def test_chains_of_tasks_are_joined():
    # Neighbours share half of their labels, the ends nothing.
    chain = np.array([[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5]])
    similarity = 1 - np.array([[jensenshannon(p, q) ** 2 for q in chain] for p in chain])
    assert similarity[0, 2] < 0.5 < similarity[0, 1]
    assert cluster_tasks(chain, 0.5).tolist() == [0, 0, 0]
    assert cluster_tasks(chain[[0, 2]], 0.5).tolist() == [0, 1]


def test_the_largest_gap_is_not_moved_by_an_outlier():
    similarity = np.full((5, 5), 0.9)
    similarity[:3, 3:] = similarity[3:, :3] = 0.75
    similarity[0, 4] = similarity[4, 0] = 0.7
    np.fill_diagonal(similarity, 1.0)
    assert largest_gap_threshold(similarity) == pytest.approx(0.825)
    assert similar_groups(similarity, "largest-gap").tolist() == [0, 0, 0, 3, 3]
    similarity[0, 4] = similarity[4, 0] = 0.3
    assert midpoint_threshold(similarity) == pytest.approx(0.6)
    assert similar_groups(similarity, "midpoint").tolist() == [0] * 5


@pytest.mark.parametrize("threshold", ["median", np.nan, np.inf, None])
def test_unknown_thresholds_are_named(threshold):
    with pytest.raises(ValueError, match="threshold must be a number or one of midpoint, largest-gap, got"):
        similarity_threshold(np.eye(2), threshold)


def test_clusters_by_updates_are_found_once_after_a_round_together():
    updates = np.array([[1, 0.6, -0.2], [0.6, 1, -0.1], [-0.2, -0.1, 1]])
    assert similar_updates(make_state(3, round=0, update_similarity=np.eye(3))).tolist() == [0, 0, 0]
    assert similar_updates(make_state(3, round=1, update_similarity=updates)).tolist() == [0, 0, 2]
    later = make_state(3, round=2, update_similarity=-updates, cluster=np.array([0, 0, 2]))
    assert similar_updates(later).tolist() == [0, 0, 2]
