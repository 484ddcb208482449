from __future__ import annotations

import numpy as np
import pytest

from satfl_env.onboard import battery_after_j, solar_power_w, usable_charge_j


def test_solar_power_by_hand() -> None:
    assert solar_power_w(0.5, 0.3) == pytest.approx(204.15)
    np.testing.assert_allclose(solar_power_w(2.0, 0.25, np.array([0.0, 0.5, 1.0])), [0.0, 340.25, 680.5])


def test_usable_charge_by_hand() -> None:
    charge = np.array([0.0, 60.0, 80.0, 100.0])
    np.testing.assert_allclose(usable_charge_j(charge, capacity_j=100.0, depth_of_discharge=0.3), [0, 0, 10, 30])
    np.testing.assert_allclose(usable_charge_j(charge, capacity_j=100.0, depth_of_discharge=1.0), charge)


def test_satellites_in_sunlight_charge_and_those_in_shadow_do_not() -> None:
    harvest = solar_power_w(0.1, 0.3, np.array([1.0, 0.25, 0.0]))
    charge = battery_after_j(np.full(3, 1000.0), np.full(3, 400.0), 10.0, harvest_w=harvest, capacity_j=5000.0)
    np.testing.assert_allclose(charge, 600.0 + 40.83 * 10 * np.array([1.0, 0.25, 0.0]))


def test_a_turn_of_work_within_the_harvest_leaves_the_battery_level() -> None:
    charge = np.array([3000.0])
    for lit in (1.0, 0.6, 0.0, 0.0, 1.0, 1.0) * 5:
        harvest = solar_power_w(0.1, 0.3, lit)
        charge = battery_after_j(charge, np.array([0.6 * 40.83 * 60.0]), 60.0, harvest_w=harvest, capacity_j=1e5)
    assert charge[0] == pytest.approx(3000.0, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [((-1.0, 0.3), "panel_area_m2 must not be negative"), ((1.0, 1.3), r"efficiency must lie in \[0, 1\]")],
)
def test_bad_panels_are_named(values: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solar_power_w(*values)


def test_bad_depth_of_discharge_is_named() -> None:
    with pytest.raises(ValueError, match=r"depth_of_discharge must lie in \[0, 1\], got 1.5"):
        usable_charge_j(np.zeros(1), capacity_j=1.0, depth_of_discharge=1.5)
