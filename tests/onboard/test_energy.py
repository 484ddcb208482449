from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satfl_env.onboard import battery_after_j, draw_energy_j


def test_draws_are_normal_within_bounds() -> None:
    draws = draw_energy_j(np.random.default_rng(0), 100_000, 100.0, 10.0)
    assert draws.mean() == pytest.approx(100.0, abs=0.2)
    assert draws.std() == pytest.approx(10.0, rel=0.02)
    wide = draw_energy_j(np.random.default_rng(0), 100_000, 10.0, 100.0)
    assert wide.min() == 0.0
    assert wide.max() <= 610.0
    np.testing.assert_array_equal(draw_energy_j(np.random.default_rng(0), 4, 100.0, 0.0), 100.0)


def test_draws_follow_the_generator() -> None:
    first, second = (draw_energy_j(np.random.default_rng(5), 10, 100.0, 10.0) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_battery_by_hand() -> None:
    after = battery_after_j(
        np.array([50.0, 50.0, 90.0]), np.array([20.0, 60.0, 0.0]), 10.0, harvest_w=0.5, capacity_j=92.0
    )
    np.testing.assert_allclose(after, [35.0, 0.0, 92.0])


@given(charge=st.floats(0, 1), spent_share=st.floats(0, 1), elapsed_s=st.floats(0, 1e4), harvest_w=st.floats(0, 10))
def test_battery_stays_within_its_capacity(
    charge: float, spent_share: float, elapsed_s: float, harvest_w: float
) -> None:
    charge_j = np.array([charge * 100])
    after = battery_after_j(charge_j, spent_share * charge_j, elapsed_s, harvest_w=harvest_w, capacity_j=100.0)
    assert 0 <= after[0] <= 100
