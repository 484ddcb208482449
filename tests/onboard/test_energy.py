from __future__ import annotations

import numpy as np
import pytest

from satfl_env.onboard import EnergyDraws

NOTHING = np.zeros(100_000)


def test_draws_are_normal_within_bounds() -> None:
    draws = EnergyDraws(mean_j=100.0, std_j=10.0).available_j(NOTHING, np.random.default_rng(0))
    assert draws.mean() == pytest.approx(100.0, abs=0.2)
    assert draws.std() == pytest.approx(10.0, rel=0.02)
    wide = EnergyDraws(mean_j=10.0, std_j=100.0)
    assert wide.highest_j == 610.0
    assert wide.available_j(NOTHING, np.random.default_rng(0)).min() == 0.0
    fixed = EnergyDraws(mean_j=100.0, std_j=0.0)
    assert fixed.available_j(NOTHING[:4], np.random.default_rng(0)).tolist() == [fixed.highest_j] * 4


def test_no_draw_is_above_the_highest() -> None:
    class Lucky:
        def normal(self, mean: float, std: float, size: int) -> np.ndarray:
            return np.full(size, mean + 7 * std)

    assert EnergyDraws(mean_j=10.0, std_j=1.0).available_j(NOTHING[:2], Lucky()).tolist() == [16.0] * 2  # type: ignore[arg-type]


def test_draws_follow_the_generator() -> None:
    first, second = (EnergyDraws().available_j(NOTHING[:10], np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_draws_leave_nothing_for_the_next_round() -> None:
    energy, spent = EnergyDraws(), np.ones(3)
    charge = energy.first_charge_j(3)
    after = energy.charge_after_j(charge, spent_j=spent, sunlit_s=spent, duration_s=1.0)
    assert charge.tolist() == after.tolist() == [0.0] * 3
