from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satfl_env.onboard import Battery, Panels

RNG = np.random.default_rng(0)


def battery(**settings: object) -> Battery:
    return Battery(**({"capacity_j": 100.0, "initial_j": 50.0} | settings))


def after_j(energy: Battery, charge_j: object, spent_j: object, sunlit_s: object, duration_s: float) -> np.ndarray:
    charge, spent, sunlit = (np.asarray(values, dtype=np.float64) for values in (charge_j, spent_j, sunlit_s))
    return energy.charge_after_j(charge, spent_j=spent, sunlit_s=sunlit, duration_s=duration_s)


def test_power_of_panels_by_hand() -> None:
    assert Panels(area_m2=0.5).power_w == pytest.approx(204.15)
    assert Panels(area_m2=2.0, efficiency=0.25).power_w == pytest.approx(680.5)


def test_usable_charge_by_hand() -> None:
    charge = np.array([0.0, 60.0, 80.0, 100.0])
    np.testing.assert_allclose(battery(depth_of_discharge=0.3).available_j(charge, RNG), [0, 0, 10, 30])
    np.testing.assert_allclose(battery().available_j(charge, RNG), charge)


def test_charge_by_hand() -> None:
    small = battery(capacity_j=92.0, harvest_w=0.5)
    assert small.first_charge_j(3).tolist() == [50.0] * 3
    assert small.highest_j == 92.0
    charge = after_j(small, [50.0, 50.0, 90.0, 90.0], [20.0, 60.0, 0.0, 0.0], [10.0, 10.0, 10.0, 0.0], 10.0)
    np.testing.assert_allclose(charge, [35.0, 0.0, 92.0, 90.0])


def test_satellites_in_sunlight_charge_and_all_draw_standing_power() -> None:
    large = battery(capacity_j=5000.0, panels=Panels(area_m2=0.1), standing_w=2.0)
    charge = after_j(large, [1000.0] * 3, [400.0] * 3, [10.0, 2.5, 0.0], 10.0)
    np.testing.assert_allclose(charge, 600.0 - 20.0 + 40.83 * 10 * np.array([1.0, 0.25, 0.0]))


def test_a_turn_of_work_within_the_harvest_leaves_the_battery_level() -> None:
    large, charge = battery(capacity_j=1e5, panels=Panels(area_m2=0.1)), np.array([3000.0])
    for lit in (1.0, 0.6, 0.0, 0.0, 1.0, 1.0) * 5:
        charge = after_j(large, charge, [0.6 * 40.83 * 60.0], [60.0 * lit], 60.0)
    assert charge[0] == pytest.approx(3000.0, abs=1e-6)


@given(charge=st.floats(0, 1), spent_share=st.floats(0, 1), duration_s=st.floats(1, 1e4), harvest_w=st.floats(0, 10))
def test_batteries_stay_within_their_capacity(
    charge: float, spent_share: float, duration_s: float, harvest_w: float
) -> None:
    spent_j = spent_share * charge * 100
    after = after_j(battery(harvest_w=harvest_w), [charge * 100], [spent_j], [duration_s], duration_s)
    assert 0 <= after[0] <= 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth_of_discharge": 1.5}, r"depth_of_discharge\n.* less than or equal to 1 .*=1.5"),
        ({"initial_j": 200.0}, "initial_j must be at most capacity_j = 100.0, got 200.0"),
        ({"harvest_w": 1.0, "panels": Panels(area_m2=1.0)}, "give harvest_w or panels, not both; got harvest_w 1.0"),
        ({"panels": {"area_m2": -1.0}}, r"panels.area_m2\n.* greater than 0 .*=-1.0"),
        ({"panels": {"area_m2": 1.0, "efficiency": 1.3}}, r"panels.efficiency\n.* less than or equal to 1 .*=1.3"),
        ({"capacity": 3.0}, r"capacity\n  Unexpected keyword argument"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        battery(**changes)
