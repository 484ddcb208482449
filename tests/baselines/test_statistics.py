"""Statistics against rliable's own test values, SciPy, and closed forms."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from satfl_baselines.statistics import (
    Interval,
    interquartile_mean,
    interval,
    mean,
    performance_profile,
    probability_of_improvement,
    win_rate,
)

# Those of rliable's tests (tests/rliable/metrics_test.py).
X = np.array([[1.0, 2.0], [2.0, 2.0], [1.0, 1.0], [2.0, 1.0]])
Y = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])

no_deadline = settings(max_examples=40, deadline=None)
# Few distinct values, so that ties are frequent.
some_scores = arrays(
    float, st.tuples(st.integers(2, 12), st.integers(1, 4)), elements=st.integers(-3, 3).map(lambda n: n / 2)
)


def scores(seeds: int, scenarios: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(seeds, scenarios))


def test_values_that_rliable_is_tested_for():
    assert mean(X) == interquartile_mean(X) == 1.5
    assert mean(Y) == interquartile_mean(Y) == 2
    assert probability_of_improvement(X, Y) == pytest.approx(1 / 3)


@no_deadline
@given(some_scores)
def test_interquartile_mean_is_the_trimmed_mean_of_all_runs(own):
    assert interquartile_mean(own) == pytest.approx(stats.trim_mean(own, 0.25, axis=None))


@no_deadline
@given(some_scores, st.data())
def test_probability_of_improvement_counts_pairs(one, data):
    other = data.draw(arrays(float, (5, one.shape[1]), elements=st.integers(-3, 3).map(lambda n: n / 2)))
    pairs = [np.heaviside(x - y, 0.5) for x, y in product(one, other)]
    u = stats.mannwhitneyu(one, other, alternative="greater").statistic
    assert probability_of_improvement(one, other) == pytest.approx(np.mean(pairs))
    assert probability_of_improvement(one, other) == pytest.approx((u / (len(one) * 5)).mean())
    assert probability_of_improvement(other, one) == pytest.approx(1 - probability_of_improvement(one, other))


def test_probability_of_improvement_between_normal_scores():
    """P(X > Y) of two normal distributions of variance 1, one mean apart, is Phi(1 / sqrt 2)."""
    one, other = scores(3000, 2, seed=0) + 1, scores(3000, 2, seed=1)
    assert probability_of_improvement(one, other) == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.01)


def test_win_rate_is_of_pairs():
    assert win_rate(np.array([[0.1], [0.0], [-0.1], [0.2]])) == pytest.approx(0.625)


@no_deadline
@given(some_scores)
def test_a_performance_profile_is_the_share_above(own):
    thresholds = np.linspace(-2, 2, 9)
    profile = performance_profile(own, thresholds)
    assert profile == pytest.approx([(own > threshold).mean() for threshold in thresholds])
    assert (np.diff(profile) <= 0).all()


def test_the_area_under_a_profile_is_the_mean():
    own = np.random.default_rng(0).uniform(size=(20, 3))
    thresholds = np.linspace(0, 1, 10_001)
    assert np.trapezoid(performance_profile(own, thresholds), thresholds) == pytest.approx(mean(own), abs=1e-4)


def test_an_interval_is_that_of_scipy_with_scenarios_as_independent_samples():
    own = scores(30, 3, seed=2) * [1, 5, 0.1]

    def of_columns(*columns, axis):
        return interquartile_mean(np.moveaxis(np.stack(columns), (0, axis), (-1, -2)))

    reference = stats.bootstrap(
        tuple(own.T), of_columns, method="percentile", n_resamples=20_000, random_state=np.random.default_rng(1)
    )
    found = interval(interquartile_mean, own)
    assert found.value == interquartile_mean(own)
    assert found[1:] == pytest.approx(tuple(reference.confidence_interval), abs=0.15 * reference.standard_error)


def test_an_interval_of_the_mean_is_that_of_the_normal_distribution():
    own = scores(400, 2, seed=3) * [1, 3]
    error = np.sqrt((own.var(axis=0, ddof=1) / 400).sum()) / 2
    _, low, high = interval(mean, own)
    assert (low, high) == pytest.approx(mean(own) + np.array([-1.96, 1.96]) * error, abs=0.15 * error)


def test_two_policies_are_drawn_again_independently():
    """Resampled together, equal scores would tie every time and leave no interval."""
    own = scores(10, 1, seed=4)
    value, low, high = interval(probability_of_improvement, own, own)
    assert low < value == 0.5 < high


def test_a_scenario_is_drawn_again_by_itself():
    """Together, scores of opposite sign would cancel out in every resample; across scenarios, levels would mix."""
    one = scores(10, 1, seed=6)
    value, low, high = interval(mean, np.hstack([one, -one]))
    assert value == pytest.approx(0)
    assert low < -0.1 < 0.1 < high
    assert interval(mean, np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])) == (0.5, 0.5, 0.5)


def test_an_interval_has_the_shape_of_its_statistic_and_no_chance():
    thresholds = np.array([-1.0, 0.0, 1.0])
    own = scores(8, 2, seed=5)
    one, other = (interval(lambda drawn: performance_profile(drawn, thresholds), own) for _ in range(2))
    assert one.low.shape == (3,)
    np.testing.assert_array_equal(one, other)


def test_a_single_seed_has_no_interval():
    value, low, high = interval(interquartile_mean, np.array([[1.0, 3.0]]))
    assert value == 2
    assert np.isnan([low, high]).all()


def test_an_interval_is_written_with_its_bounds_where_it_has_some():
    assert f"{Interval(np.array(0.5), np.array(-0.25), np.array(1.0)):+.2f}" == "+0.50 [-0.25, +1.00]"
    assert f"{Interval(np.array(0.5), np.array(np.nan), np.array(np.nan)):.3f}" == "0.500"
