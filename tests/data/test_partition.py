from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from satfl_env.data import Task, count_split, dirichlet_split, draw_task_samples, equal_split

SEEDS = st.integers(0, 2**32 - 1)
TEN_CLASSES = np.repeat(np.arange(10), 200)


def assert_each_once(split: list[np.ndarray], num_samples: int) -> None:
    assert all(indices.dtype == np.int64 for indices in split)
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(num_samples))


@given(num_satellites=st.integers(1, 40), extra=st.integers(0, 200), seed=SEEDS)
def test_equal_split_uses_each_sample_once_in_even_sizes(num_satellites: int, extra: int, seed: int) -> None:
    num_samples = num_satellites + extra
    split = equal_split(num_samples, num_satellites, np.random.default_rng(seed))
    sizes = [len(indices) for indices in split]
    assert_each_once(split, num_samples)
    assert len(split) == num_satellites
    assert max(sizes) - min(sizes) <= 1


@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=20), extra=st.integers(0, 50), seed=SEEDS)
def test_count_split_gives_exact_counts_without_repetition(counts: list[int], extra: int, seed: int) -> None:
    num_samples = sum(counts) + extra
    split = count_split(num_samples, counts, np.random.default_rng(seed))
    used = np.concatenate(split)
    assert [len(indices) for indices in split] == counts
    assert len(np.unique(used)) == len(used)
    assert np.isin(used, np.arange(num_samples)).all()


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=150),
    num_satellites=st.integers(1, 8),
    alpha=st.floats(0.5, 100),
    min_size=st.integers(0, 3),
    seed=SEEDS,
)
def test_dirichlet_split_uses_each_sample_once_and_keeps_the_minimum(
    labels: list[int], num_satellites: int, alpha: float, min_size: int, seed: int
) -> None:
    assume(len(labels) >= 5 * num_satellites * min_size)
    split = dirichlet_split(
        np.array(labels), num_satellites, alpha=alpha, rng=np.random.default_rng(seed), min_size=min_size
    )
    assert_each_once(split, len(labels))
    assert len(split) == num_satellites
    assert min(len(indices) for indices in split) >= min_size


@pytest.mark.parametrize(("alpha", "expected"), [(0.1, 134), (1, 57), (10, 19)])
def test_dirichlet_sample_counts_spread_as_computed_for_the_semspacefl_tables(alpha: float, expected: int) -> None:
    rng = np.random.default_rng(0)
    sizes = [
        [len(indices) for indices in dirichlet_split(TEN_CLASSES, 10, alpha=alpha, rng=rng, min_size=0)]
        for _ in range(300)
    ]
    assert np.mean(sizes) == 200
    assert np.std(sizes) == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_dirichlet_share_of_one_class_follows_the_beta_marginal(alpha: float) -> None:
    labels = np.zeros(100_000, dtype=np.int64)
    rng = np.random.default_rng(1)
    shares = [len(dirichlet_split(labels, 4, alpha=alpha, rng=rng, min_size=0)[2]) / len(labels) for _ in range(300)]
    assert stats.kstest(shares, stats.beta(alpha, 3 * alpha).cdf).pvalue > 0.01


def test_dirichlet_classes_are_shared_out_independently() -> None:
    split = dirichlet_split(TEN_CLASSES, 10, alpha=0.1, rng=np.random.default_rng(3))
    counts = np.array([np.bincount(TEN_CLASSES[indices], minlength=10) for indices in split])
    assert (counts.sum(axis=0) == 200).all()
    assert len(set(counts.argmax(axis=0).tolist())) > 3


def test_redraw_reaches_a_minimum_size_that_single_draws_miss() -> None:
    free = dirichlet_split(TEN_CLASSES, 10, alpha=0.1, rng=np.random.default_rng(0), min_size=0)
    kept = dirichlet_split(TEN_CLASSES, 10, alpha=0.1, rng=np.random.default_rng(0), min_size=40)
    assert min(map(len, free)) < 40 <= min(map(len, kept))


TASKS = st.sampled_from([Task("two", (2,)), Task("one or two", (1, 2)), Task("three", (4, 0, 5))])


@settings(deadline=None)
@given(
    drawn=st.lists(st.tuples(TASKS, st.integers(1, 60), st.floats(0, 1)), min_size=1, max_size=6),
    seed=SEEDS,
)
def test_task_samples_have_the_asked_size_share_and_balance(drawn: list[tuple[Task, int, float]], seed: int) -> None:
    labels = np.random.default_rng(9).permutation(np.repeat(np.arange(8), 70))
    tasks, sizes, shares = zip(*drawn, strict=True)
    split = draw_task_samples(labels, tasks, sizes=sizes, positive_shares=shares, rng=np.random.default_rng(seed))
    for indices, task, size, share in zip(split, tasks, sizes, shares, strict=True):
        per_class = [int((labels[indices] == label).sum()) for label in task.classes]
        assert len(indices) == len(np.unique(indices)) == size
        assert abs(sum(per_class) - share * size) <= 0.5
        assert max(per_class) - min(per_class) <= 1


def test_task_samples_draw_the_rest_evenly_from_all_other_labels() -> None:
    labels = np.repeat(np.arange(5), 2000)
    (indices,) = draw_task_samples(
        labels, [Task("two", (2,))], sizes=[4000], positive_shares=[0], rng=np.random.default_rng(0)
    )
    counts = np.bincount(labels[indices], minlength=5)
    assert counts[2] == 0
    assert stats.chisquare(counts[[0, 1, 3, 4]]).pvalue > 0.01


@pytest.mark.parametrize("partition", ["equal", "count", "dirichlet", "task"])
def test_same_generator_seed_gives_the_same_split(partition: str) -> None:
    def draw(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        split = {
            "equal": lambda: equal_split(2000, 7, rng),
            "count": lambda: count_split(2000, [5, 9, 400], rng),
            "dirichlet": lambda: dirichlet_split(TEN_CLASSES, 7, alpha=1, rng=rng),
            "task": lambda: draw_task_samples(
                TEN_CLASSES, [Task("t", (1,))], sizes=[100], positive_shares=[0.5], rng=rng
            ),
        }[partition]()
        return np.concatenate(split)

    np.testing.assert_array_equal(draw(4), draw(4))
    assert (draw(4) != draw(5)).any()


def test_errors_name_the_field_and_the_value() -> None:
    rng = np.random.default_rng(0)
    task = Task("two", (2,))
    with pytest.raises(ValueError, match="3 samples cannot give 4 satellites at least 1 each"):
        equal_split(3, 4, rng)
    with pytest.raises(ValueError, match="num_satellites: 0"):
        equal_split(3, 0, rng)
    for counts in ([], [-1, 2], [3, 3]):
        with pytest.raises(ValueError, match="counts: "):
            count_split(5, counts, rng)
    for alpha in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="alpha: "):
            dirichlet_split(TEN_CLASSES, 4, alpha=alpha, rng=rng)
    with pytest.raises(ValueError, match="2000 samples cannot give 10 satellites at least 300 each"):
        dirichlet_split(TEN_CLASSES, 10, alpha=1, rng=rng, min_size=300)
    with pytest.raises(ValueError, match=r"^200 samples for each of 10 satellites never .* alpha 0.01; ask for fewer"):
        dirichlet_split(TEN_CLASSES, 10, alpha=0.01, rng=rng, min_size=200)
    with pytest.raises(ValueError, match="lengths 2, 1, 1"):
        draw_task_samples(TEN_CLASSES, [task, task], sizes=[3], positive_shares=[0.5], rng=rng)
    with pytest.raises(ValueError, match=r"positive_shares: 1.5 of task 'two'"):
        draw_task_samples(TEN_CLASSES, [task], sizes=[3], positive_shares=[1.5], rng=rng)
    with pytest.raises(ValueError, match="sizes: 0 of task 'two'"):
        draw_task_samples(TEN_CLASSES, [task], sizes=[0], positive_shares=[0.5], rng=rng)
    with pytest.raises(ValueError, match="201 samples wanted with label 2 of task 'two', only 200"):
        draw_task_samples(TEN_CLASSES, [task], sizes=[201], positive_shares=[1], rng=rng)
    with pytest.raises(ValueError, match="1801 samples wanted with labels outside task 'two', only 1800"):
        draw_task_samples(TEN_CLASSES, [task], sizes=[1801], positive_shares=[0], rng=rng)
