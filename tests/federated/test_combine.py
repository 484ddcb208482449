"""Server rules against closed forms, other libraries and brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from satfl_env.federated import (
    COMBINE_RULES,
    ClippedMean,
    GeometricMedian,
    TrimmedMean,
    combine_groups,
    combine_updates,
    coordinate_median,
    gateway_aggregate,
    weighted_mean,
)

ROBUST = [coordinate_median, TrimmedMean(0.25), GeometricMedian()]
rules = pytest.mark.parametrize("rule", COMBINE_RULES.values(), ids=COMBINE_RULES)


def drawn(seed: int, count: int, width: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    weights = rng.random(count) + 0.05
    return torch.from_numpy(rng.normal(size=(count, width))), torch.from_numpy(weights / weights.sum())


def equal(count: int) -> torch.Tensor:
    return torch.full((count,), 1 / count, dtype=torch.float64)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7])
def test_with_equal_weights_the_median_is_numpy_s(count: int):
    updates, _ = drawn(0, count)
    for dtype in (torch.float64, torch.float32):
        found = coordinate_median(updates.to(dtype), equal(count).to(dtype))
        assert torch.allclose(found.double(), torch.from_numpy(np.median(updates.numpy(), axis=0)), atol=1e-6)


def test_whole_weights_count_like_copies():
    updates, _ = drawn(1, 4)
    copies = [3, 1, 2, 1]
    weights = torch.tensor(copies, dtype=torch.float64) / sum(copies)
    expected = np.median(np.repeat(updates.numpy(), copies, axis=0), axis=0)
    assert torch.allclose(coordinate_median(updates, weights), torch.from_numpy(expected))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_the_median_minimises_the_weighted_distances_of_each_coordinate(seed: int, count: int):
    updates, weights = drawn(seed, count)

    def cost(point: torch.Tensor) -> torch.Tensor:
        return weights @ (updates - point).abs()

    found = cost(coordinate_median(updates, weights))
    # The minimum of a piecewise linear function lies at one of its corners.
    assert torch.allclose(found, torch.stack([cost(update) for update in updates]).min(dim=0).values, atol=1e-12)


@pytest.mark.parametrize(("count", "share"), [(5, 0.2), (7, 0.25), (10, 0.3), (30, 0.1), (4, 0.0), (3, 0.49)])
def test_with_equal_weights_the_trimmed_mean_is_scipy_s(count: int, share: float):
    updates, _ = drawn(2, count)
    expected = torch.from_numpy(stats.trim_mean(updates.numpy(), share, axis=0))
    assert torch.allclose(TrimmedMean(share)(updates, equal(count)), expected)


def test_trimmed_weights_are_scaled_and_count_alike_if_all_are_zero():
    updates = torch.tensor([[0.0], [1.0], [4.0], [100.0]])
    rule = TrimmedMean(0.25)
    assert float(rule(updates, torch.tensor([0.1, 0.1, 0.3, 0.5]))) == pytest.approx((1 * 0.1 + 4 * 0.3) / 0.4)
    assert float(rule(updates, torch.tensor([0.5, 0.0, 0.0, 0.5]))) == pytest.approx(2.5)


@pytest.mark.parametrize("seed", range(4))
def test_the_geometric_median_minimises_the_sum_of_distances(seed: int):
    updates, weights = drawn(seed, 7, 3)

    def cost(point: np.ndarray) -> float:
        return float(weights.numpy() @ np.linalg.norm(updates.numpy() - point, axis=1))

    best = optimize.minimize(
        cost, updates.mean(dim=0).numpy(), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    assert np.allclose(GeometricMedian()(updates, weights).numpy(), best.x, atol=1e-4)


def test_the_geometric_median_of_the_corners_of_a_square_and_of_a_heavy_point():
    square = torch.tensor([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]], dtype=torch.float64)
    assert GeometricMedian()(square, equal(4)).tolist() == pytest.approx([1.0, 1.0])
    # A point with more than half of the weight is the median.
    heavy = GeometricMedian()(square, torch.tensor([0.1, 0.6, 0.2, 0.1], dtype=torch.float64))
    assert heavy.tolist() == pytest.approx([0.0, 2.0], abs=1e-4)
    assert GeometricMedian()(square[:1].repeat(3, 1), equal(3)).tolist() == [0.0, 0.0], "all the same"


def test_clipped_updates_have_the_norm_and_short_ones_stay():
    updates = torch.tensor([[3.0, 4.0], [0.3, -0.4], [0.0, 0.0]])
    found = ClippedMean(2.0)(updates, torch.tensor([0.5, 0.25, 0.25]))
    assert found.tolist() == pytest.approx([0.5 * 1.2 + 0.25 * 0.3, 0.5 * 1.6 - 0.25 * 0.4])


@rules
def test_one_update_is_kept_and_copies_change_nothing(rule):
    update = torch.tensor([[0.1, -0.2, 0.3]], dtype=torch.float64)
    for count in (1, 3, 4):
        assert torch.allclose(rule(update.repeat(count, 1), equal(count)), update[0])


@rules
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 9))
def test_the_order_of_the_satellites_does_not_matter(rule, seed: int, count: int):
    updates, weights = drawn(seed, count)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(count))
    assert torch.allclose(rule(updates[order], weights[order]), rule(updates, weights), atol=1e-9)


@pytest.mark.parametrize("rule", [weighted_mean, *ROBUST])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 9), scale=st.floats(0.01, 100.0))
def test_moved_and_scaled_updates_give_a_moved_and_scaled_result(rule, seed: int, count: int, scale: float):
    updates, weights = drawn(seed, count)
    shift = torch.linspace(-3, 3, updates.shape[1], dtype=torch.float64)
    moved = rule(scale * updates + shift, weights)
    assert torch.allclose(moved, scale * rule(updates, weights) + shift, atol=1e-4 * max(scale, 1.0))


@pytest.mark.parametrize("rule", [*ROBUST, ClippedMean(3.0)])
def test_one_liar_moves_a_robust_rule_little(rule):
    updates, _ = drawn(3, 9)
    lied = updates.clone()
    lied[4] = 1e6
    moved = torch.linalg.vector_norm(rule(lied, equal(9)) - rule(updates, equal(9)))
    assert moved < 2.0
    assert torch.linalg.vector_norm(weighted_mean(lied, equal(9)) - weighted_mean(updates, equal(9))) > 1e5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TrimmedMean(0.5), r"share is 0\.5; allowed are numbers in \[0, 0\.5\)"),
        (lambda: TrimmedMean(float("nan")), "share is nan"),
        (lambda: GeometricMedian(smoothing=0.0), r"smoothing is 0\.0"),
        (lambda: GeometricMedian(tolerance=-1.0), r"tolerance is -1\.0"),
        (lambda: GeometricMedian(max_steps=0), "max_steps is 0"),
        (lambda: ClippedMean(0.0), r"max_norm is 0\.0"),
        (lambda: ClippedMean(float("inf")), "max_norm is inf"),
    ],
)
def test_bad_parameters_are_rejected(make, words: str):
    with pytest.raises(ValueError, match=words):
        make()


def grouped() -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Members of a group start alike."""
    groups = np.array([0, 1, 0, 2, 1, 0])
    updates, _ = drawn(4, 6)
    weights = np.array([0.2, 0.3, 0.5, 1.0, 0.7, 0.3])
    start = drawn(5, 3)[0][groups]
    return start, start + updates, weights, groups


def combined(start: torch.Tensor, received: torch.Tensor, *weights_groups_rule: Any) -> torch.Tensor:
    """`combine_groups` of members among satellites that have not returned."""
    members = 2 * np.arange(len(start)) + 1
    everyone = [torch.full((2 * len(start) + 1, 6), torch.nan).to(rows) for rows in (start, received)]
    for all_rows, rows in zip(everyone, (start, received), strict=True):
        all_rows[members] = rows
    return combine_groups(*everyone, members, *weights_groups_rule)


@rules
def test_groups_are_combined_one_by_one(rule):
    start, received, weights, groups = grouped()
    found = combined(start, received, weights, groups, rule)
    for group in range(3):
        own = np.flatnonzero(groups == group)
        update = rule((received - start)[own], torch.from_numpy(weights[own]))
        assert torch.allclose(found[group], start[own[0]] + update, atol=1e-12)


def test_the_mean_is_the_matrix_product_to_the_bit():
    start, received, weights, groups = grouped()
    start, received = start.float(), received.float()
    expected = gateway_aggregate(received, weights, groups)
    assert torch.equal(combined(start, received, weights, groups, weighted_mean), expected)
    assert torch.equal(combine_updates(received, weights, groups, weighted_mean), expected)


def test_a_rule_of_one_s_own_gets_copies_and_is_checked():
    start, received, weights, groups = grouped()
    seen = []

    def largest(updates: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        seen.append((len(updates), float(shares.sum())))
        return updates.mul_(2.0)[shares.argmax()]

    before = received.clone()
    found = combined(start, received, weights, groups, largest)
    assert torch.equal(received, before)
    assert torch.allclose(found[0], (2 * received - start)[2])
    assert seen == [(3, pytest.approx(1.0)), (2, pytest.approx(1.0)), (1, pytest.approx(1.0))]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            lambda updates, weights: updates,
            r"the server rule <lambda> must give .* \(P,\) = \(6,\), got \(3, 6\)",
        ),
        (lambda updates, weights: updates.numpy()[0], "got ndarray"),
        (lambda updates, weights: updates[0] / 0.0, "finite numbers"),
    ],
)
def test_what_a_rule_gives_must_fit(rule, words: str):
    with pytest.raises(ValueError, match=words):
        combined(*grouped(), rule)


def test_weights_must_sum_to_one_with_every_rule():
    start, received, weights, groups = grouped()
    for rule in COMBINE_RULES.values():
        with pytest.raises(ValueError, match="sum to 1"):
            combined(start, received, weights * 0.9, groups, rule)
        assert combined(start[:0], received[:0], weights[:0], groups[:0], rule).shape == (0, 6)
