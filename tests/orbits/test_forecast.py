"""What is to come agrees with what comes: with windows, snapshots, skyfield and plain loops."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from skyfield.api import EarthSatellite, load, wgs84

from satfl_env.orbits import (
    ConstellationScene,
    Forecast,
    ForecastSettings,
    GeostationaryGateway,
    Intervals,
    PlanarScene,
    Scene,
    SceneSnapshot,
    as_foreseen,
    load_elements,
    samples,
    site,
    walker,
)
from satfl_env.orbits.intervals import joined, upcoming

HOUR_S = 3600.0
EPOCH = "2026-03-01T00:00:00"
GATEWAYS = [site("Svalbard"), site("Kourou", min_elevation_deg=5)]


def orbiting() -> ConstellationScene:
    return ConstellationScene(walker(6, 2, 1, altitude_m=550e3, inclination_deg=97, epoch=EPOCH), GATEWAYS)


def planar(phase_rad: float = 0.3) -> PlanarScene:
    return PlanarScene(
        circle_radius_m=[1200e3, 1700e3, 4000e3, 900e3],
        phase_rad=[phase_rad, 2.0, 4.5, 1.0],
        gateway_m=[(0, 0), (3000e3, 0), (1500e3, 1000e3)],
        centre_m=(1500e3, 1000e3),
        speed_mps=7600.0,
        altitude_m=500e3,
        coverage_radius_m=1200e3,
    )


def hardly_out_of_sight() -> PlanarScene:
    """A satellite that a gateway does not see for 19 s of each turn."""
    return PlanarScene(
        circle_radius_m=[1200e3],
        phase_rad=[1.0],
        gateway_m=[(1000e3, 0)],
        centre_m=(0, 0),
        speed_mps=7600.0,
        altitude_m=500e3,
        coverage_radius_m=2199e3,
    )


class Bare:
    """A scene that knows how it is at an instant, and nothing of what is to come."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        for name in ("num_satellites", "num_gateways", "horizon_s"):
            setattr(self, name, getattr(scene, name))

    def at(self, time_s: float) -> SceneSnapshot:
        return self._scene.at(time_s)

    def sunlit_s(self, start_s: float, end_s: float) -> np.ndarray:
        return self._scene.sunlit_s(start_s, end_s)


spans = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(1, 8)), max_size=12)


@given(spans, st.integers(0, 45), st.integers(1, 3), st.integers(1, 30), st.booleans())
def test_the_next_intervals_are_those_that_a_loop_finds(found, time_s, count, horizon_s, with_present):
    # Time that is covered, by row and second; runs of it are the intervals.
    covered = np.zeros((3, 60), dtype=bool)
    for row, start, length in found:
        covered[row, start : start + length] = True
    edges = np.diff(np.pad(covered, ((0, 0), (1, 1))).astype(int), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    # Cut into pieces that touch, out of order.
    cut = np.clip(20, starts, ends)
    pieces = [Intervals(rows, cut * 1.0, ends * 1.0), Intervals(rows, starts * 1.0, cut * 1.0)]
    pieces = [Intervals(*(values[piece.end_s > piece.start_s] for values in piece)) for piece in pieces]
    whole = joined(pieces)
    assert [whole.row.tolist(), whole.start_s.tolist(), whole.end_s.tolist()] == [
        rows.tolist(),
        starts.tolist(),
        ends.tolist(),
    ]
    start, end = upcoming(whole, time_s, num_rows=3, count=count, horizon_s=horizon_s, with_present=with_present)
    for row in range(3):
        expected = [
            (max(first - time_s, 0), min(last - time_s, horizon_s))
            for which, first, last in zip(rows, starts, ends, strict=True)
            if which == row and (last > time_s if with_present else first > time_s) and first < time_s + horizon_s
        ]
        expected = (expected + [(horizon_s, horizon_s)] * count)[:count]
        assert list(zip(start[row], end[row], strict=True)) == expected


@settings(max_examples=25, deadline=None)
@given(st.floats(-10, 10), st.floats(0, 20_000))
def test_contacts_of_circles_are_those_that_snapshots_show(phase_rad, start_s):
    scene = planar(phase_rad)
    contacts = scene.contacts(start_s, start_s + HOUR_S)
    assert (contacts.start_s >= start_s).all()
    assert (contacts.end_s > contacts.start_s).all()
    assert (contacts.end_s <= start_s + HOUR_S).all()
    for time_s in np.linspace(start_s, start_s + HOUR_S - 1, 37).tolist():
        snapshot = scene.at(time_s)
        # What is about to begin or has just ended is a matter of rounding.
        on_edge = (np.abs(contacts.start_s - time_s) < 1e-6) | (np.abs(contacts.end_s - time_s) < 1e-6)
        under_way = (contacts.start_s <= time_s) & (time_s < contacts.end_s)
        seen = np.zeros(snapshot.visible.size, dtype=bool)
        seen[contacts.row[under_way]] = True
        unclear = np.isin(np.arange(seen.size), contacts.row[on_edge])
        assert np.array_equal(seen | unclear, snapshot.visible.ravel() | unclear)
        whole = under_way & ~on_edge & (contacts.end_s < start_s + HOUR_S)
        left_s = snapshot.window_s.ravel()[contacts.row[whole]]
        np.testing.assert_allclose(contacts.end_s[whole] - time_s, left_s, atol=1e-6)


def test_gateways_that_always_or_never_see_a_circle():
    # The second circle lies around the third gateway's disc, the last one inside it.
    contacts = planar().contacts(0.0, HOUR_S)
    rows = np.arange(12).reshape(4, 3)
    assert np.array_equal(contacts.end_s[contacts.row == rows[3, 2]], [HOUR_S])
    assert not np.isin(rows[2, 2], contacts.row)
    forecast = Forecast(planar(), ForecastSettings())
    assert (forecast.contact_start_s(10.0)[[2, 3], 2] == planar().horizon_s).all()
    assert (forecast.eclipse_start_s(10.0) == forecast.eclipse_end_s(10.0)).all()


def test_the_forecast_agrees_with_windows_searched_from_each_instant():
    scene, horizon_s = orbiting(), 5 * HOUR_S
    forecast = Forecast(scene, ForecastSettings(contacts=3, horizon_s=horizon_s))
    for time_s in (0.0, 1234.5, 3 * HOUR_S, 7 * HOUR_S + 1.0):
        windows = scene.contact_windows(time_s, time_s + horizon_s)
        start, end = forecast.contact_start_s(time_s), forecast.contact_end_s(time_s)
        assert start.shape == (6, 2, 3)
        for satellite, gateway in np.ndindex(6, 2):
            rows = (windows.satellite == satellite) & (windows.gateway == gateway) & (windows.rise_s > time_s)
            expected = np.full((2, 3), horizon_s)
            expected[0, : rows.sum()] = (windows.rise_s[rows] - time_s)[:3]
            expected[1, : rows.sum()] = (windows.set_s[rows] - time_s)[:3]
            np.testing.assert_allclose([start[satellite, gateway], end[satellite, gateway]], expected, atol=0.02)
    first_rise, first_set = scene.contact_windows(0.0, horizon_s).next_window_s(0.0)
    np.testing.assert_allclose(forecast.contact_start_s(0.0)[..., 0], np.minimum(first_rise, horizon_s), atol=0.02)
    np.testing.assert_allclose(forecast.contact_end_s(0.0)[..., 0], np.minimum(first_set, horizon_s), atol=0.02)


def test_gateways_in_space_are_foreseen_as_well():
    orbits = walker(4, 2, 1, altitude_m=550e3, inclination_deg=97, epoch=EPOCH)
    scene = ConstellationScene(orbits, [GATEWAYS[0], GeostationaryGateway(name="Relay", longitude_deg=9)])
    forecast = Forecast(scene, ForecastSettings(contacts=1, horizon_s=2 * HOUR_S))
    start, end = forecast.contact_start_s(0.0)[..., 0], forecast.contact_end_s(0.0)[..., 0]
    for satellite in range(4):
        assert start[satellite, 1] < 2 * HOUR_S
        before, after = (scene.at(start[satellite, 1] + seconds) for seconds in (-0.1, 0.1))
        assert (before.visible[satellite, 1], after.visible[satellite, 1]) == (False, True)
        if end[satellite, 1] < 2 * HOUR_S:
            assert after.window_s[satellite, 1] == pytest.approx((end - start)[satellite, 1] - 0.1, abs=0.05)


def test_the_forecast_agrees_with_skyfield():
    orbits = load_elements(samples()["sentinel-like"])
    forecast = Forecast(ConstellationScene(orbits, GATEWAYS), ForecastSettings(contacts=2, horizon_s=8 * HOUR_S))
    time_s = 1000.0
    start, end = forecast.contact_start_s(time_s), forecast.contact_end_s(time_s)
    timescale = load.timescale(builtin=True)
    epoch = timescale.from_astropy(orbits.epoch)
    found = 0
    for satellite, gateway in np.ndindex(3, 2):
        place = GATEWAYS[gateway]
        times, kinds = EarthSatellite.from_satrec(orbits.satellites[satellite], timescale).find_events(
            wgs84.latlon(place.latitude_deg, place.longitude_deg, place.altitude_m),
            epoch,
            epoch + (time_s + 8 * HOUR_S) / 86_400,
            altitude_degrees=place.min_elevation_deg,
        )
        after_s = (times - epoch) * 86_400 - time_s
        rises, sets = (after_s[kinds == kind] for kind in (0, 2))
        rises = rises[rises > 0]
        sets = sets[sets > rises[0]] if rises.size else sets[:0]
        for number in range(2):
            expected = (rises[number], sets[number]) if number < min(rises.size, sets.size) else (8 * HOUR_S,) * 2
            np.testing.assert_allclose(
                [start[satellite, gateway, number], end[satellite, gateway, number]], expected, atol=0.5
            )
            found += number < rises.size
    assert found > 6


@pytest.mark.parametrize("scene", [orbiting(), planar()], ids=["orbiting", "planar"])
def test_what_comes_does_not_depend_on_who_asked_before(scene):
    settings = ForecastSettings(horizon_s=2 * HOUR_S)
    walked = Forecast(scene, settings)
    for time_s in (0.0, 3000.0, 5000.0, 9000.0, 100.0, 12_345.6):
        walked.contact_start_s(time_s)
        fresh = Forecast(scene, settings)
        for clone in (copy.deepcopy(walked), pickle.loads(pickle.dumps(walked)), walked):
            for part in ("contact_start_s", "contact_end_s", "eclipse_start_s", "eclipse_end_s"):
                assert np.array_equal(getattr(clone, part)(time_s), getattr(fresh, part)(time_s)), part


@pytest.mark.parametrize("scene", [orbiting(), planar(), hardly_out_of_sight()], ids=["orbiting", "planar", "gap"])
def test_a_scene_that_only_knows_the_instant_is_looked_at_every_minute(scene):
    exact, looked_at = (each.contacts(0.0, HOUR_S) for each in (scene, as_foreseen(Bare(scene))))
    exact = joined([Intervals(*(values[exact.end_s - exact.start_s > 61] for values in exact))])
    looked_at = joined([looked_at])
    assert np.array_equal(exact.row, looked_at.row)
    np.testing.assert_allclose(looked_at.start_s, exact.start_s, atol=1.1)
    np.testing.assert_allclose(looked_at.end_s, exact.end_s, atol=0.05)
    exact, looked_at = (joined([each.eclipses(0.0, 3 * HOUR_S)]) for each in (scene, as_foreseen(Bare(scene))))
    assert np.array_equal(exact.row, looked_at.row)
    np.testing.assert_allclose(looked_at.start_s, exact.start_s, atol=60.0)
    np.testing.assert_allclose(looked_at.end_s, exact.end_s, atol=60.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contacts": 0}, "contacts"),
        ({"contacts": 101}, "contacts"),
        ({"horizon_s": 0.0}, "horizon_s"),
        ({"horizon_s": 604_801.0}, "horizon_s"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        ForecastSettings(**changes)
