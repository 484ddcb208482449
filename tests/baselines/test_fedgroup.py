"""FedGroup's grouping against a singular value decomposition, planted directions, and labels worked out by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines.fedgroup import decomposed_cosines, grouped_updates, groups_of_updates
from tests.factories import make_state


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(directions: np.ndarray, of: np.ndarray, seed: int) -> np.ndarray:
    """Cosines of updates that point along some of orthogonal directions, up to noise."""
    updates = unit(directions[of] + 0.02 * np.random.default_rng(seed).normal(size=(len(of), directions.shape[1])))
    return updates @ updates.T


def test_decomposed_cosines_are_those_of_a_singular_value_decomposition():
    updates = unit(np.random.default_rng(0).normal(size=(7, 40)))
    _, _, directions = np.linalg.svd(updates, full_matrices=False)
    expected = updates @ directions[:3].T
    # Singular directions are known up to their sign.
    np.testing.assert_allclose(np.abs(decomposed_cosines(updates @ updates.T, 3)), np.abs(expected), atol=1e-7)


@settings(max_examples=10, deadline=None)
@given(st.permutations([0, 0, 0, 1, 1, 2, 2, 2]), st.integers(0, 100))
def test_planted_directions_are_found_and_numbered_by_their_first_member(of, seed):
    found = groups_of_updates(planted(np.eye(3, 30), np.array(of), seed), 3)
    order = list(dict.fromkeys(of))
    assert found.tolist() == [order.index(each) for each in of]


def test_equal_updates_make_fewer_groups():
    assert groups_of_updates(np.ones((4, 4)), 3).tolist() == [0, 0, 0, 0]


def test_a_single_satellite_is_in_the_only_cluster_there_is():
    for round_index in (0, 1):
        assert grouped_updates(make_state(1, round=round_index, last_epochs=np.ones(1, dtype=int))).tolist() == [0]


def test_groups_are_formed_once_and_newcomers_join_the_one_whose_updates_point_their_way():
    start = make_state(7)
    assert grouped_updates(start).tolist() == [6] * 7
    # Four of seven have come back: two pairs.
    similarity = np.eye(7)
    similarity[:4, :4] = planted(np.eye(2, 30), np.array([0, 1, 0, 1]), 0)
    epochs = np.array([1, 2, 1, 1, 0, 0, 0])
    first = make_state(7, round=1, cluster=np.full(7, 6), last_epochs=epochs, update_similarity=similarity)
    labels = grouped_updates(first, 2)
    assert labels.tolist() == [0, 1, 0, 1, 6, 6, 6]
    # 4 has come back with 0 and 3, 5 with nobody that is in a group, 6 not at all.
    later = similarity.copy()
    later[4, [0, 3]] = later[[0, 3], 4] = 0.1, 0.8
    epochs = np.array([1, 2, 1, 1, 2, 1, 0])
    second = make_state(7, round=2, cluster=labels, last_epochs=epochs, update_similarity=later)
    assert grouped_updates(second, 2).tolist() == [0, 1, 0, 1, 1, 6, 6]


def test_too_few_updates_wait_for_more():
    epochs = np.array([1, 1, 1, 0, 0, 0, 0])
    state = make_state(7, round=1, cluster=np.full(7, 6), last_epochs=epochs)
    assert grouped_updates(state).tolist() == [6] * 7


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(0, 1000))
def test_labels_fit_the_action_and_who_is_in_a_group_stays(size, seed):
    rng = np.random.default_rng(seed)
    updates = unit(rng.normal(size=(size, 20)))
    cluster = rng.choice([*range(min(3, size - 1)), size - 1], size)
    state = make_state(
        size,
        round=3,
        cluster=cluster,
        last_epochs=rng.integers(0, 2, size),
        update_similarity=updates @ updates.T,
    )
    labels = grouped_updates(state)
    assert ((labels >= 0) & (labels < size)).all()
    kept = cluster != size - 1
    assert (labels[kept] == cluster[kept]).all()
