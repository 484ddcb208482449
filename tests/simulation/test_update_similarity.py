"""The cosines of updates, whenever they are computed."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine
from torch import Tensor

from satfl_env.simulation import update_similarity
from satfl_env.simulation.state import BoolArray, FloatArray
from satfl_env.simulation.update_similarity import UpdateSimilarity, update_cosines

MANY = 220


def keeps_little(similarity: UpdateSimilarity) -> bool:
    """Whether rounds that are kept take no more memory than a matrix, and the latest updates no more than two."""
    matrix_bytes = 8 * similarity.num_satellites**2
    latest = 0 if similarity.latest is None else similarity.latest.unit.nbytes
    return sum(one.cosines.nbytes for one in similarity.known) <= matrix_bytes and latest <= 2 * matrix_bytes


def rounds_of_many(missing: float) -> list[tuple[Tensor, BoolArray]]:
    """Updates of ten rounds of a large constellation and who returned, with a share that is missing at random."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    returned = rng.random((10, MANY)) >= missing
    return [(torch.randn(int(one.sum()), 150, generator=generator), one) for one in returned]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many satellites are compared with all others of their round, one entry each time."""
    sizes: list[int] = []

    def counting(products: Tensor) -> FloatArray:
        sizes.append(len(products))
        return in_range(products)

    in_range = update_similarity._in_range
    monkeypatch.setattr(update_similarity, "_in_range", counting)
    return sizes


def test_cosines_are_those_of_scipy_and_bounded():
    updates = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    updates[1] = 3 * updates[0]
    updates[2] = -updates[0]
    updates[3] = 0
    got = update_cosines(updates)
    for i in range(6):
        for j in range(6):
            if 3 not in (i, j):
                assert got[i, j] == pytest.approx(1 - cosine(updates[i], updates[j]), abs=1e-5)
    assert (got[3] == 0).all()
    assert (np.abs(got) <= 1).all()


def test_cosines_of_many_updates_are_those_of_the_whole_product():
    updates = torch.randn(300, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = updates.numpy() / np.linalg.norm(updates.numpy(), axis=1, keepdims=True)
    got = update_cosines(updates)
    assert np.allclose(got, unit @ unit.T, rtol=0, atol=1e-12)


def test_cosines_of_few_updates_are_those_of_the_whole_product_to_the_bit():
    updates = torch.randn(10, 2240, generator=torch.Generator().manual_seed(0))
    unit = updates / updates.norm(dim=1, keepdim=True)
    assert np.array_equal(update_cosines(updates), (unit @ unit.T).clamp(-1.0, 1.0).double().numpy())


def test_only_pairs_that_both_came_back_are_refreshed():
    before = UpdateSimilarity(4)
    once = before.refreshed(torch.tensor([[2.0, 0.0], [3.0, 4.0]]), np.array([True, False, True, False]))
    later = once.refreshed(torch.tensor([[0.0, 1.0], [3.0, -4.0]]), np.array([True, True, False, False]))
    twice = later.matrix()
    assert np.array_equal(before.matrix(), np.eye(4))
    assert twice[0, 2] == twice[2, 0] == pytest.approx(0.6)
    assert twice[0, 1] == twice[1, 0] == pytest.approx(-0.8)
    assert np.count_nonzero(twice) == 4 + 4
    assert (np.diag(twice) == 1).all()


@pytest.mark.parametrize("shape", [(0, 5), (2, 0)])
def test_without_updates_to_compare_nothing_is_kept(shape):
    before = UpdateSimilarity(4)
    assert before.refreshed(torch.empty(shape), np.arange(4) < shape[0]) is before


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=5, max_size=5), st.booleans()), max_size=12), st.data())
def test_similarities_are_the_same_whenever_they_are_read(rounds, data):
    kept, expected = UpdateSimilarity(5), np.eye(5)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    for returned, is_read in rounds:
        members = np.flatnonzero(returned)
        updates = torch.randn(len(members), 3, generator=generator)
        kept = kept.refreshed(updates, np.array(returned))
        if members.size:
            expected[np.ix_(members, members)] = update_cosines(updates)
            np.fill_diagonal(expected, 1.0)
        assert keeps_little(kept)
        if is_read:
            assert np.array_equal(kept.matrix(), expected)
    assert np.array_equal(kept.matrix(), expected)


@pytest.mark.parametrize("missing", [0.0, 0.02, 0.3, 0.35, 0.7])
@pytest.mark.parametrize("reads", [(), (0, 3), (4, 5, 6), (9,)])
def test_similarities_of_many_are_those_of_comparing_every_round_to_the_bit(missing, reads):
    kept, expected = UpdateSimilarity(MANY), np.eye(MANY)
    for number, (updates, returned) in enumerate(rounds_of_many(missing)):
        kept = kept.refreshed(updates, returned)
        expected[np.ix_(returned, returned)] = update_cosines(updates)
        np.fill_diagonal(expected, 1.0)
        kept = pickle.loads(pickle.dumps(kept)) if number % 4 == 2 else kept
        assert keeps_little(kept)
        if number in reads:
            assert np.array_equal(kept.matrix(), expected)
    assert np.array_equal(kept.matrix(), expected)


def test_a_state_shows_what_it_knew_also_when_it_is_read_later():
    first, second, *_ = rounds_of_many(missing=0.02)
    before = UpdateSimilarity(MANY).refreshed(*first)
    before.refreshed(*second).matrix()
    assert np.array_equal(before.matrix()[np.ix_(first[1], first[1])], _with_ones(update_cosines(first[0])))


def _with_ones(cosines: FloatArray) -> FloatArray:
    np.fill_diagonal(cosines, 1.0)
    return cosines


def test_settings_of_whoever_reads_it_change_nothing():
    updates, returned = rounds_of_many(missing=0.02)[0]
    expected = UpdateSimilarity(MANY).refreshed(updates, returned).matrix()
    later = UpdateSimilarity(MANY).refreshed(updates, returned)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        found = later.matrix()
    assert np.array_equal(found, expected)


def test_what_the_caller_does_with_updates_later_changes_nothing():
    updates, returned = rounds_of_many(missing=0.0)[0]
    expected = _with_ones(update_cosines(updates))
    similarity = UpdateSimilarity(MANY).refreshed(updates, returned)
    updates.zero_()
    assert np.array_equal(similarity.matrix(), expected)


def test_nothing_is_compared_that_nobody_reads(compared):
    similarity = UpdateSimilarity(MANY)
    for updates, returned in rounds_of_many(missing=0.0):
        similarity = similarity.refreshed(updates, returned)
    assert compared == []
    similarity.matrix()
    similarity.matrix()
    assert compared == [MANY]


def test_of_a_round_only_those_are_compared_that_the_next_does_not_bring_back(compared):
    rounds, similarity = rounds_of_many(missing=0.02), UpdateSimilarity(MANY)
    for updates, returned in rounds:
        similarity = similarity.refreshed(updates, returned)
    left = [int((one & ~later).sum()) for (_, one), (_, later) in pairwise(rounds)]
    assert compared == [count for count in left if count]


def test_large_models_of_few_satellites_are_compared_at_once(compared):
    similarity = UpdateSimilarity(10).refreshed(torch.randn(10, 2344), np.ones(10, dtype=np.bool_))
    assert compared == [10]
    assert similarity.latest is None
