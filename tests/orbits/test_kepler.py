from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy import units
from boinor.bodies import Earth, Mars
from boinor.core.perturbations import J2_perturbation
from boinor.core.propagation import cowell
from boinor.core.propagation.base import func_twobody
from boinor.twobody import Orbit
from boinor.twobody.propagation import MarkleyPropagator
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.orbits import CowellOrbits, KeplerOrbits, orbits_from_boinor, orbits_from_states, walker
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M, GRAVITY_M3PS2
from satfl_env.orbits.earth import J2 as EARTH_J2
from satfl_env.orbits.frames import gcrs_to_teme
from satfl_env.orbits.kepler import secular_rates_radps, solve_kepler

EPOCH = "2026-03-01T00:00:00"
DAY_S = 86_400.0
ELEMENTS = (
    "semi_major_axis_m",
    "eccentricity",
    "inclination_rad",
    "raan_rad",
    "argument_of_perigee_rad",
    "mean_anomaly_rad",
)


def make_orbits(**changes: object) -> KeplerOrbits:
    values: dict[str, object] = {
        "epoch": EPOCH,
        "semi_major_axis_m": [7.0e6, 7.2e6, 8.5e6, 26.6e6],
        "eccentricity": [0.0, 0.001, 0.1, 0.7],
        "inclination_rad": np.radians([53.0, 98.6, 10.0, 63.4]),
        "raan_rad": [0.0, 1.0, 2.0, 6.0],
        "argument_of_perigee_rad": [0.0, 3.0, 1.0, 4.7],
        "mean_anomaly_rad": [0.5, 6.0, 3.0, 0.1],
    }
    return KeplerOrbits(**(values | changes))  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(mean=st.floats(-20, 20), eccentricity=st.floats(0, 0.99))
def test_kepler_equation_is_solved(mean: float, eccentricity: float) -> None:
    anomaly = solve_kepler(np.array([mean]), np.array([eccentricity]))[0]
    assert anomaly - eccentricity * np.sin(anomaly) == pytest.approx(mean, abs=1e-9)


def test_two_body_agrees_with_boinor_over_a_day() -> None:
    orbits = make_orbits(j2=False)
    time_s = np.linspace(0, DAY_S, 9)
    position, velocity = orbits.states(time_s)
    for index in range(orbits.num_satellites):
        start = Orbit.from_vectors(Earth, position[0, index] * units.m, velocity[0, index] * units.m / units.s)
        for row, time in enumerate(time_s):
            later = start.propagate(time * units.s, method=MarkleyPropagator())
            np.testing.assert_allclose(position[row, index], later.r.to_value(units.m), atol=1.0)
            np.testing.assert_allclose(velocity[row, index], later.v.to_value(units.m / units.s), atol=1e-3)


def test_integration_does_not_mind_the_callers_error_state() -> None:
    orbits = walker(4, 1, 0, altitude_m=550e3, inclination_deg=53, epoch=EPOCH)
    plain = CowellOrbits(orbits, span_s=600.0)
    with np.errstate(all="raise"):
        strict = CowellOrbits(orbits, span_s=600.0)
    np.testing.assert_array_equal(strict.states(np.array([300.0])), plain.states(np.array([300.0])))


@pytest.mark.parametrize("j2", [False, True])
def test_velocity_is_the_derivative_of_the_position(j2: bool) -> None:
    position, velocity = make_orbits(j2=j2).states(np.array([4999.0, 5000.0, 5001.0]))
    np.testing.assert_allclose((position[2] - position[0]) / 2, velocity[1], atol=0.01)


def test_node_and_perigee_drift_at_the_closed_form() -> None:
    orbits = make_orbits()
    rates = secular_rates_radps(orbits.semi_major_axis_m, orbits.eccentricity, orbits.inclination_rad)
    for time in (DAY_S, 10 * DAY_S):
        position, velocity = orbits.states(np.array([time]))
        momentum = np.cross(position[0], velocity[0])
        drift = np.arctan2(momentum[:, 0], -momentum[:, 1]) - orbits.raan_rad
        # The drift itself adds 0.1 % to the velocity, so the momentum leans a little.
        np.testing.assert_allclose(np.angle(np.exp(1j * (drift - rates[0] * time))), 0.0, atol=1e-3)
    # Written out for the second orbit: a Sun-synchronous drift of about 0.986 degrees a day.
    assert np.degrees(rates[0][1] * DAY_S) == pytest.approx(0.99, abs=0.02)
    # The fourth has the critical inclination of Molniya orbits, where the perigee stands still.
    assert np.degrees(rates[1][3] * DAY_S) == pytest.approx(0.0, abs=1e-3)
    assert abs(np.degrees(rates[1][2] * DAY_S)) > 5


def test_perigees_are_met_where_the_closed_form_puts_them() -> None:
    orbits = make_orbits()
    axis, eccentricity, inclination = orbits.semi_major_axis_m, orbits.eccentricity, orbits.inclination_rad
    motion = np.sqrt(3.986004418e14 / axis**3)
    strength = 1.5 * motion * 1.08262668e-3 * (6_378_137.0 / (axis * (1 - eccentricity**2))) ** 2
    anomaly_rate = motion + strength * np.sqrt(1 - eccentricity**2) * (1 - 1.5 * np.sin(inclination) ** 2)
    # The last perigee within ten days, of each satellite its own.
    turns = np.floor((orbits.mean_anomaly_rad + anomaly_rate * 10 * DAY_S) / (2 * np.pi))
    time_s = (2 * np.pi * turns - orbits.mean_anomaly_rad) / anomaly_rate
    position = orbits.states(time_s)[0].diagonal().T
    node = orbits.raan_rad - strength * np.cos(inclination) * time_s
    perigee = orbits.argument_of_perigee_rad + strength * (2 - 2.5 * np.sin(inclination) ** 2) * time_s
    expected = axis * (1 - eccentricity) * np.array([
        np.cos(node) * np.cos(perigee) - np.sin(node) * np.sin(perigee) * np.cos(inclination),
        np.sin(node) * np.cos(perigee) + np.cos(node) * np.sin(perigee) * np.cos(inclination),
        np.sin(perigee) * np.sin(inclination),
    ])  # fmt: skip
    np.testing.assert_allclose(position, expected.T, atol=0.1)


def test_secular_rates_are_the_mean_of_the_integrated_motion() -> None:
    orbits = make_orbits(
        semi_major_axis_m=[7.3e6], eccentricity=[0.05], inclination_rad=[0.9], raan_rad=[1.0],
        argument_of_perigee_rad=[0.7], mean_anomaly_rad=[0.0],
    )  # fmt: skip
    precise = CowellOrbits(orbits, span_s=DAY_S)
    period_s = float(orbits.period_s[0])
    time_s = np.linspace(0, 13 * period_s, 14)
    position, velocity = precise.states(time_s)
    node, perigee = np.array([_node_and_perigee(r[0], v[0]) for r, v in zip(position, velocity, strict=True)]).T
    rates = secular_rates_radps(orbits.semi_major_axis_m, orbits.eccentricity, orbits.inclination_rad)
    assert np.polyfit(time_s, np.unwrap(node), 1)[0] == pytest.approx(rates[0][0], rel=0.01)
    assert np.polyfit(time_s, np.unwrap(perigee), 1)[0] == pytest.approx(rates[1][0], rel=0.03)


def _node_and_perigee(position: np.ndarray, velocity: np.ndarray) -> tuple[float, float]:
    orbit = Orbit.from_vectors(Earth, position * units.m, velocity * units.m / units.s)
    return orbit.raan.to_value(units.rad), orbit.argp.to_value(units.rad)


def test_secular_motion_stays_within_36_km_of_the_integrated_one_over_a_day() -> None:
    # Lower and closer to the poles it is further off.
    orbits = make_orbits(
        semi_major_axis_m=[6.54e6, 6.68e6, 6.93e6, 7.16e6], eccentricity=[0.0, 0.0, 0.0, 0.001],
        inclination_rad=[1.57, 1.7, 0.1, 1.72], raan_rad=[0.0, 0.0, 1.0, 2.0],
        argument_of_perigee_rad=[0.0, 0.0, 0.0, 1.0], mean_anomaly_rad=[0.0, 0.8, 2.0, 4.0],
    )  # fmt: skip
    time_s = np.linspace(0, DAY_S, 500)
    apart = np.linalg.norm(orbits.states(time_s)[0] - CowellOrbits(orbits).states(time_s)[0], axis=-1)
    assert apart.max() < 36e3
    # What two-body motion misses is far more: the drift is there to be modelled.
    kepler = make_orbits(**{name: getattr(orbits, name) for name in ELEMENTS}, j2=False)
    assert np.linalg.norm(kepler.states(time_s)[0] - CowellOrbits(orbits).states(time_s)[0], axis=-1).max() > 300e3


def test_integrated_motion_is_interpolated_to_a_centimetre_and_ends_with_its_span() -> None:
    orbits = make_orbits()
    short, odd = CowellOrbits(orbits, span_s=600.0), CowellOrbits(orbits, span_s=607.0)
    time_s = np.linspace(0, 600, 50)
    np.testing.assert_allclose(short.states(time_s)[0], odd.states(time_s)[0], atol=0.02)
    np.testing.assert_allclose(short.states(np.zeros(1))[0], orbits.osculating().states(np.zeros(1))[0], atol=1e-6)
    with pytest.raises(ValueError, match=r"time_s must lie in the integrated span 0\.\.600"):
        short.states(np.array([601.0]))
    with pytest.raises(ValueError, match="span_s must be positive"):
        CowellOrbits(orbits, span_s=0.0)
    with pytest.raises(ValueError, match=r"span_s must be positive and at most 3\.16"):
        CowellOrbits(orbits, span_s=1e300)


def test_integrated_motion_stays_outside_the_earth() -> None:
    # The mean orbit is ten kilometres up, and what the Earth's oblateness adds nearly reaches the ground.
    orbits = walker(4, 1, 0, altitude_m=10.5e3, inclination_deg=90, epoch=EPOCH)
    with pytest.raises(ValueError, match=r"orbits must stay outside the Earth for span_s 6000, got one 6377\d\d\d m"):
        CowellOrbits(orbits, span_s=6000.0)


def test_integration_is_that_of_boinor_to_half_a_centimetre() -> None:
    orbits = make_orbits(eccentricity=[0.0, 0.001, 0.1, 0.5])
    position, velocity = (state[0] / 1e3 for state in orbits.osculating().states(np.zeros(1)))
    time_s = np.linspace(0, 20_000, 97)  # between the knots, too

    def force(time: float, state: np.ndarray, gravity: float) -> np.ndarray:
        rate = func_twobody(time, state, gravity)
        rate[3:] += J2_perturbation(time, state, gravity, EARTH_J2, EQUATORIAL_RADIUS_M / 1e3)
        return rate

    ours = CowellOrbits(orbits, span_s=20_000).states(time_s)
    for satellite, start in enumerate(zip(position, velocity, strict=True)):
        theirs = cowell(GRAVITY_M3PS2 / 1e9, *start, time_s, f=force)
        np.testing.assert_allclose(ours[0][:, satellite], np.array(theirs[0]) * 1e3, rtol=0, atol=5e-3)
        np.testing.assert_allclose(ours[1][:, satellite], np.array(theirs[1]) * 1e3, rtol=0, atol=1e-3)


def test_satellites_integrated_together_move_as_each_does_alone() -> None:
    circles = walker(60, 6, 1, altitude_m=550e3, inclination_deg=53, epoch=EPOCH, j2=False)
    eccentric = make_orbits(j2=False)
    together = KeplerOrbits(EPOCH, *(np.append(getattr(circles, n), getattr(eccentric, n)[-1]) for n in ELEMENTS))
    alone = KeplerOrbits(EPOCH, *(getattr(eccentric, name)[-1:] for name in ELEMENTS))
    time_s = np.arange(0.0, DAY_S + 1, 100.0)
    lonely, joined = (CowellOrbits(orbits).states(time_s)[0] for orbits in (alone, together))
    np.testing.assert_allclose(joined[:, -1], lonely[:, 0], rtol=0, atol=1e-3)


def test_integration_needs_no_boinor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["boinor", *(name for name in sys.modules if name.startswith("boinor."))]:
        monkeypatch.setitem(sys.modules, name, None)
    orbits = walker(4, 1, 0, altitude_m=550e3, inclination_deg=53, epoch=EPOCH)
    assert CowellOrbits(orbits, span_s=600.0).states(np.array([600.0]))[0].shape == (1, 4, 3)


@pytest.mark.parametrize("j2", [False, True])
def test_orbits_come_back_from_their_states(j2: bool) -> None:
    orbits = make_orbits(j2=j2)
    position, velocity = orbits.osculating().states(np.zeros(1))
    back = orbits_from_states(EPOCH, position[0], velocity[0], j2=j2)
    # The mean axis is right to the second order of J2.
    np.testing.assert_allclose(back.semi_major_axis_m, orbits.semi_major_axis_m, atol=1e-3 if not j2 else 20.0)
    at_start = back.osculating().states(np.zeros(1))[0]
    np.testing.assert_allclose(at_start, position, atol=1e-3 if not j2 else 20.0)


@pytest.mark.parametrize("inclination_rad", [0.0, np.pi])
def test_equatorial_circles_come_back_from_their_states(inclination_rad: float) -> None:
    orbits = make_orbits(inclination_rad=np.full(4, inclination_rad), eccentricity=np.zeros(4), j2=False)
    position, velocity = orbits.states(np.zeros(1))
    later = np.array([7000.0])
    back = orbits_from_states(EPOCH, position[0], velocity[0], j2=False)
    np.testing.assert_allclose(back.states(later)[0], orbits.states(later)[0], atol=1.0)


def test_boinor_orbits_are_turned_to_the_true_equator() -> None:
    orbits = make_orbits(j2=False)
    turn = gcrs_to_teme(orbits.epoch)
    position, velocity = orbits.states(np.zeros(1))
    twins = [
        Orbit.from_vectors(Earth, turn.T @ r * units.m, turn.T @ v * units.m / units.s, epoch=orbits.epoch.tdb)
        for r, v in zip(position[0], velocity[0], strict=True)
    ]
    back = orbits_from_boinor(twins, j2=False)
    time_s = np.array([0.0, DAY_S])
    np.testing.assert_allclose(back.states(time_s)[0], orbits.states(time_s)[0], atol=1.0)
    with pytest.raises(ValueError, match=r"orbits\[1\] must have the epoch of the first"):
        orbits_from_boinor([twins[0], twins[1].propagate(10 * units.s)])
    with pytest.raises(ValueError, match="at least one satellite"):
        orbits_from_boinor([])
    martian = Orbit.circular(Mars, 500 * units.km)
    with pytest.raises(ValueError, match=r"orbits\[0\] must be about the Earth, got Mars"):
        orbits_from_boinor([martian])


def test_bounds_hold_at_all_times() -> None:
    for j2 in (False, True):
        orbits = make_orbits(j2=j2)
        position, velocity = orbits.states(np.linspace(0, DAY_S, 2000))
        radius, speed = np.linalg.norm(position, axis=-1), np.linalg.norm(velocity, axis=-1)
        assert orbits.min_radius_m <= radius.min() + 1e-6
        assert radius.max() <= orbits.max_radius_m + 1e-6
        assert speed.max() <= orbits.max_speed_mps


def test_walker_delta_by_hand() -> None:
    # Walker 1984: 55: 6/3/1. Neighbouring planes lie 120 degrees apart, with a phase step of 60.
    orbits = walker(6, 3, 1, altitude_m=600e3, inclination_deg=55, epoch=EPOCH)
    np.testing.assert_allclose(np.degrees(orbits.raan_rad), [0, 0, 120, 120, 240, 240])
    np.testing.assert_allclose(np.degrees(orbits.mean_anomaly_rad), [0, 180, 60, 240, 120, 300])
    np.testing.assert_allclose(orbits.semi_major_axis_m, EQUATORIAL_RADIUS_M + 600e3)
    assert orbits.j2


def test_walker_star_spreads_its_planes_over_half_the_globe() -> None:
    orbits = walker(66, 6, 2, altitude_m=780e3, inclination_deg=86.4, epoch=EPOCH, pattern="star", raan_deg=10)
    np.testing.assert_allclose(np.degrees(np.unique(orbits.raan_rad)), 10 + 30.0 * np.arange(6))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_satellites": 0}, "at least one satellite"),
        ({"num_planes": 4}, "num_planes must divide num_satellites 6, got 4"),
        ({"phasing": 3}, r"phasing must lie in 0\.\.2"),
        ({"altitude_m": -1.0}, "altitude_m must be positive"),
        ({"inclination_deg": 181.0}, "inclination_deg"),
        ({"pattern": "rosette"}, "pattern must be one of"),
        ({"epoch": "1990-01-01"}, "epoch must lie in"),
    ],
)
def test_bad_walker_constellations_are_named(changes: dict[str, object], message: str) -> None:
    values: dict[str, object] = {
        "num_satellites": 6, "num_planes": 3, "phasing": 1, "altitude_m": 6e5, "inclination_deg": 55.0, "epoch": EPOCH
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        walker(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({name: [] for name in ELEMENTS}, "at least one satellite"),
        ({"raan_rad": [0.0]}, r"raan_rad must have shape \(4,\), got \(1,\)"),
        ({"raan_rad": [0.0, np.nan, 0.0, 0.0]}, "raan_rad must be finite"),
        ({"eccentricity": [0.0, 0.0, 0.0, 1.0]}, r"eccentricity must lie in \[0, 1\)"),
        ({"inclination_rad": [4.0, 0.0, 0.0, 0.0]}, "inclination_rad"),
        ({"eccentricity": [0.2, 0.0, 0.0, 0.0]}, "every perigee outside the Earth"),
        ({"semi_major_axis_m": [7e6, 7e6, 7e6, 1.6e9]}, r"semi_major_axis_m must be at most 1\.5e\+09, got 16"),
    ],
)
def test_bad_elements_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_orbits(**changes)


def test_states_must_be_ellipses() -> None:
    with pytest.raises(ValueError, match="must be ellipses"):
        orbits_from_states(EPOCH, [[7e6, 0.0, 0.0]], [[0.0, 12e3, 0.0]])
