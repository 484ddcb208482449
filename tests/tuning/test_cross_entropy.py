from __future__ import annotations

import numpy as np
import pytest

from satfl_baselines.cross_entropy import Gaussian


@pytest.mark.parametrize("best", [[0.2, 0.9, 0.5], [0.0, 1.0, 0.7]])
def test_it_finds_the_best_point_of_a_known_function(best):
    gaussian, rng = Gaussian(np.full(3, 0.5), np.full(3, 0.25)), np.random.default_rng(0)
    for _ in range(30):
        candidates = np.clip(gaussian.draw(24, rng), 0, 1)
        scores = -((candidates - best) ** 2).sum(axis=1) + 1e-3 * rng.standard_normal(24)
        gaussian = gaussian.after(candidates, scores, elite=6)
    assert gaussian.mean == pytest.approx(best, abs=0.06)
    assert (gaussian.spread < 0.1).all()


def test_a_generation_by_hand():
    before = Gaussian(np.array([0.0]), np.array([1.0]))
    candidates = np.array([[1.0], [3.0], [7.0], [9.0]])
    after = before.after(candidates, np.array([2.0, 2.0, 0.0, 1.0]), elite=2, rate=0.5)
    # The best two are 1 and 3: mean 2, standard deviation 1.
    assert (after.mean.tolist(), after.spread.tolist()) == ([1.0], [1.0])
    one = before.after(candidates, np.array([2.0, 1.0, 0.0, 1.0]), elite=1, rate=1.0, lowest_spread=0.1)
    assert (one.mean.tolist(), one.spread.tolist()) == ([1.0], [0.1])


def test_candidates_follow_their_generator():
    gaussian = Gaussian(np.zeros(2), np.array([1.0, 3.0]))
    one, same, other = (gaussian.draw(5000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.std(axis=0) == pytest.approx([1, 3], rel=0.05)
