from __future__ import annotations

import erfa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sgp4.api import WGS72, Satrec
from skyfield.api import EarthSatellite, load, wgs84

from satfl_env.orbits import (
    ConstellationScene,
    ContactWindows,
    Gateway,
    KeplerOrbits,
    Sgp4Orbits,
    contact_windows,
    earth_fixed_states,
    load_elements,
    samples,
    site,
    walker,
)
from satfl_env.orbits.crossings import bracketed_root
from satfl_env.orbits.ground_segment import ground_segment
from satfl_env.orbits.propagation import Orbits

EPOCH = "2026-03-01T00:00:00"
HOUR_S = 3600.0


def mean_element_records(orbits: KeplerOrbits) -> list[Satrec]:
    """SGP4 records with the elements of a constellation as mean elements."""
    records = []
    for index in range(orbits.num_satellites):
        record = Satrec()
        record.sgp4init(
            WGS72, "i", index + 1, orbits.epoch.jd - 2433281.5, 0.0, 0.0, 0.0,
            orbits.eccentricity[index], orbits.argument_of_perigee_rad[index], orbits.inclination_rad[index],
            orbits.mean_anomaly_rad[index], orbits.mean_motion_radps[index] * 60, orbits.raan_rad[index],
        )  # fmt: skip
        records.append(record)
    return records


def test_windows_of_a_walker_constellation_agree_with_skyfield() -> None:
    shell = walker(30, 10, 1, altitude_m=550e3, inclination_deg=53, epoch=EPOCH)
    records = mean_element_records(shell)
    gateways = [
        site("Cebreros"),
        site("Kourou", min_elevation_deg=5),
        site("Canberra", min_elevation_deg=25),
        Gateway("Platform", 30.0, 10.0, 20e3, -4.0),
    ]
    ours = contact_windows(Sgp4Orbits(records, [""] * 30, EPOCH), gateways, 0.0, 24 * HOUR_S)

    timescale = load.timescale(builtin=True)
    start = timescale.utc(2026, 3, 1)
    found = 0
    for satellite, record in enumerate(records):
        twin = EarthSatellite.from_satrec(record, timescale)
        for index, gateway in enumerate(gateways):
            place = wgs84.latlon(gateway.latitude_deg, gateway.longitude_deg, gateway.altitude_m)
            times, kinds = twin.find_events(place, start, start + 1.0, altitude_degrees=gateway.min_elevation_deg)
            event_s = (times - start) * 86_400.0
            rows = (ours.satellite == satellite) & (ours.gateway == index)
            rises, peaks, sets = (event_s[kinds == kind] for kind in (0, 1, 2))
            found += len(rises)
            opens_inside, closes_inside = ours.rise_s[rows] > 0, ours.set_s[rows] < 24 * HOUR_S
            np.testing.assert_allclose(ours.rise_s[rows][opens_inside], rises, atol=0.5)
            np.testing.assert_allclose(ours.set_s[rows][closes_inside], sets, atol=0.5)
            inside = opens_inside & closes_inside
            whole = [(rise, sets[sets > rise][0]) for rise in rises if (sets > rise).any()]
            np.testing.assert_allclose(ours.duration_s[rows][inside], [fall - rise for rise, fall in whole], atol=1.0)
            for peak_s in ours.peak_s[rows][inside]:
                assert np.abs(peaks - peak_s).min() < 0.5
    assert found > 300


def test_passes_from_elements_agree_with_sgp4_stepped_at_a_tenth_of_a_second() -> None:
    orbits = load_elements(samples()["sentinel-like"])
    satellite = orbits.names.index("SENTINEL-2B-LIKE")
    gateway = site("Svalbard", min_elevation_deg=5)
    windows = contact_windows(orbits, [gateway], 0.0, 12 * HOUR_S)
    time_s = np.arange(0, 12 * HOUR_S, 0.1)
    day = orbits.epoch.jd2 + time_s / 86_400.0
    _, position_km, _ = orbits.satellites[satellite].sgp4_array(np.full_like(day, orbits.epoch.jd1), day)
    # Sidereal time alone, without UT1 and polar motion: right to some tens of metres.
    elevation = np.degrees(np.arcsin(_sine_elevation(position_km * 1e3, erfa.gmst82(orbits.epoch.jd1, day), gateway)))
    edges = np.diff((elevation > 5.0).astype(int))
    rows = windows.satellite == satellite
    assert rows.sum() >= 6
    np.testing.assert_allclose(windows.rise_s[rows], time_s[1:][edges > 0], atol=0.3)
    np.testing.assert_allclose(windows.set_s[rows], time_s[1:][edges < 0], atol=0.3)
    for rise, fall, peak, top in zip(
        windows.rise_s[rows], windows.set_s[rows], windows.peak_s[rows], windows.peak_elevation_deg[rows], strict=True
    ):
        inside = (time_s >= rise) & (time_s <= fall)
        assert elevation[inside].max() == pytest.approx(top, abs=0.01)
        assert time_s[inside][elevation[inside].argmax()] == pytest.approx(peak, abs=0.5)


def _sine_elevation(position_m: np.ndarray, sidereal_rad: np.ndarray, gateway: Gateway) -> np.ndarray:
    cosine, sine = np.cos(sidereal_rad), np.sin(sidereal_rad)
    x = cosine * position_m[:, 0] + sine * position_m[:, 1]
    y = cosine * position_m[:, 1] - sine * position_m[:, 0]
    longitude, latitude = np.radians([gateway.longitude_deg, gateway.latitude_deg])
    place = erfa.gd2gc(1, longitude, latitude, gateway.altitude_m)
    sight = np.stack([x, y, position_m[:, 2]], axis=-1) - place
    up = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
    return sight @ np.array(up) / np.linalg.norm(sight, axis=-1)


def stepped_windows(orbits: Orbits, gateway: Gateway, end_s: float) -> list[tuple[float, float]]:
    """Windows of the first satellite from a grid of one second."""
    time_s = np.arange(0.0, end_s + 0.5)
    position, _ = earth_fixed_states(orbits, time_s)
    ground = ground_segment([gateway])
    sight = position[:, 0] - ground.position_m[0]
    elevation = np.arcsin(sight @ ground.up[0] / np.linalg.norm(sight, axis=-1))
    seen = np.r_[False, elevation > np.radians(gateway.min_elevation_deg), False].astype(int)
    return list(zip(np.flatnonzero(np.diff(seen) > 0), np.flatnonzero(np.diff(seen) < 0) - 1, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    perigee_km=st.integers(300, 2000),
    eccentricity=st.sampled_from([0.0, 0.02, 0.4, 0.7]),
    angles=st.tuples(*[st.floats(0, 6.28)] * 3),
    inclination_deg=st.integers(0, 180),
    place=st.tuples(st.integers(-90, 90), st.integers(-180, 180)),
    above=st.sampled_from([(0, 0), (0, 5), (0, 20), (0, 40), (0, 60), (20e3, 0), (20e3, -4.5), (50e3, -7)]),
    step_s=st.sampled_from([20.0, 60.0, 120.0]),
)
def test_no_window_is_lost_or_invented(
    perigee_km: int,
    eccentricity: float,
    angles: tuple[float, float, float],
    inclination_deg: int,
    place: tuple[int, int],
    above: tuple[float, float],
    step_s: float,
) -> None:
    axis = (6_378_137.0 + perigee_km * 1e3) / (1 - eccentricity)
    elements = [axis, eccentricity, np.radians(inclination_deg), *angles]
    orbits = KeplerOrbits(EPOCH, *(np.array([value]) for value in elements))
    gateway = Gateway("place", *place, *above)
    windows = contact_windows(orbits, [gateway], 0.0, 4 * HOUR_S, step_s=step_s)
    stepped = stepped_windows(orbits, gateway, 4 * HOUR_S)
    ours = list(zip(windows.rise_s, windows.set_s, strict=True))
    for first, last in stepped:
        assert any(rise <= first + 0.05 and fall >= last - 0.05 for rise, fall in ours)
    for rise, fall in ours:
        assert fall - rise < 1.0 or any(rise > first - 1.05 and fall < last + 1.05 for first, last in stepped)
    assert (windows.peak_s >= windows.rise_s - 1e-3).all()
    assert (windows.peak_s <= windows.set_s + 1e-3).all()


def test_passes_between_two_grid_times_are_found() -> None:
    # High minimum elevations make many passes shorter than the step.
    shell = walker(60, 6, 1, altitude_m=500e3, inclination_deg=60, epoch=EPOCH)
    gateways = [Gateway("high", 40.0, 10.0, min_elevation_deg=75.0), Gateway("higher", 10.0, 10.0, 0.0, 82.0)]
    coarse, fine = (contact_windows(shell, gateways, 0.0, 12 * HOUR_S, step_s=step) for step in (120.0, 2.0))
    assert (fine.duration_s < 30).sum() > 5
    for name in ("satellite", "gateway"):
        np.testing.assert_array_equal(getattr(coarse, name), getattr(fine, name))
    for name in ("rise_s", "set_s", "peak_s"):
        np.testing.assert_allclose(getattr(coarse, name), getattr(fine, name), atol=0.1)
    np.testing.assert_allclose(coarse.peak_elevation_deg, fine.peak_elevation_deg, atol=0.01)


def test_a_gap_between_two_grid_times_is_found() -> None:
    # Near its apogee this orbit creeps along the gateway's horizon, so some windows part for moments only.
    shell = _molniya(300)
    gateways = [Gateway("edge", latitude, 0.0, min_elevation_deg=10.0) for latitude in (-20.0, 0.0, 15.0)]
    coarse, fine = (contact_windows(shell, gateways, 0.0, 12 * HOUR_S, step_s=step) for step in (120.0, 10.0))
    np.testing.assert_array_equal(coarse.satellite, fine.satellite)
    np.testing.assert_allclose(coarse.rise_s, fine.rise_s, atol=1.0)


def _molniya(count: int) -> KeplerOrbits:
    ones = np.ones(count)
    raan = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return KeplerOrbits(EPOCH, 26.56e6 * ones, 0.72 * ones, 1.107 * ones, raan, 4.712 * ones, 7 * raan)


@pytest.fixture(scope="module")
def windows() -> ContactWindows:
    shell = walker(12, 3, 1, altitude_m=800e3, inclination_deg=70, epoch=EPOCH)
    return contact_windows(shell, [site("Kiruna"), site("Singapore"), site("Troll")], 1000.0, 1000.0 + 8 * HOUR_S)


def test_windows_are_sorted_and_within_the_span(windows: ContactWindows) -> None:
    order = np.lexsort((windows.rise_s, windows.gateway, windows.satellite))
    np.testing.assert_array_equal(order, np.arange(len(order)))
    assert (windows.duration_s > 0).all()
    assert windows.rise_s.min() >= windows.start_s
    assert windows.set_s.max() <= windows.end_s
    assert (windows.peak_elevation_deg >= 10 - 1e-6).all()


def test_remaining_and_next_windows_agree_with_a_search(windows: ContactWindows) -> None:
    for time_s in (1000.0, 5000.0, 20_000.0, windows.end_s):
        remaining = windows.remaining_s(time_s)
        rise, fall = windows.next_window_s(time_s)
        for satellite in range(windows.num_satellites):
            for gateway in range(windows.num_gateways):
                rows = np.flatnonzero((windows.satellite == satellite) & (windows.gateway == gateway))
                now = [windows.set_s[r] - time_s for r in rows if windows.rise_s[r] <= time_s < windows.set_s[r]]
                later = [(windows.rise_s[r], windows.set_s[r]) for r in rows if windows.rise_s[r] > time_s]
                assert remaining[satellite, gateway] == pytest.approx(now[0] if now else 0.0)
                assert (rise[satellite, gateway], fall[satellite, gateway]) == min(later, default=(np.inf, np.inf))


def test_a_span_may_be_cut_anywhere(windows: ContactWindows) -> None:
    shell = walker(12, 3, 1, altitude_m=800e3, inclination_deg=70, epoch=EPOCH)
    gateways = [site("Kiruna"), site("Singapore"), site("Troll")]
    row = int(np.argmax(windows.duration_s))
    middle = (windows.rise_s[row] + windows.set_s[row]) / 2
    first, last = (contact_windows(shell, gateways, *span) for span in ((1000.0, middle), (middle, windows.end_s)))
    pair = (windows.satellite[row], windows.gateway[row])
    ends = (first.satellite == pair[0]) & (first.gateway == pair[1]) & (first.set_s == middle)
    begins = (last.satellite == pair[0]) & (last.gateway == pair[1]) & (last.rise_s == middle)
    assert ends.sum() == begins.sum() == 1
    total = first.duration_s.sum() + last.duration_s.sum()
    assert total == pytest.approx(windows.duration_s.sum(), abs=0.1)


def test_a_satellite_that_never_sets_has_one_window() -> None:
    ones = np.ones(1)
    geostationary = KeplerOrbits(EPOCH, 42_164e3 * ones, 0 * ones, 0 * ones, 0 * ones, 0 * ones, 0 * ones, j2=False)
    longitude = np.degrees(np.arctan2(*earth_fixed_states(geostationary, np.zeros(1))[0][0, 0, 1::-1]))
    under, behind = Gateway("under", 0.0, longitude), Gateway("behind", 0.0, (longitude + 360.0) % 360 - 180.0)
    windows = contact_windows(geostationary, [under, behind], 0.0, 5 * HOUR_S)
    np.testing.assert_array_equal([windows.gateway[0], windows.rise_s[0], windows.set_s[0]], [0, 0.0, 5 * HOUR_S])
    assert windows.peak_elevation_deg[0] == pytest.approx(90.0, abs=0.1)
    scene = ConstellationScene(geostationary, [under, behind])
    np.testing.assert_array_equal(scene.at(0.0).window_s, [[scene.horizon_s, 0.0]])


def test_no_contact_at_all_is_an_empty_table() -> None:
    equatorial = walker(3, 1, 0, altitude_m=500e3, inclination_deg=0, epoch=EPOCH)
    windows = contact_windows(equatorial, [site("Svalbard")], 0.0, HOUR_S)
    assert len(windows.rise_s) == 0
    np.testing.assert_array_equal(windows.remaining_s(60.0), np.zeros((3, 1)))
    assert np.isinf(windows.next_window_s(60.0)[0]).all()


def test_bad_spans_are_named(windows: ContactWindows) -> None:
    shell = walker(3, 1, 0, altitude_m=500e3, inclination_deg=50, epoch=EPOCH)
    with pytest.raises(ValueError, match="end_s must be later than start_s"):
        contact_windows(shell, [site("Kiruna")], 10.0, 10.0)
    with pytest.raises(ValueError, match=r"step_s must lie in \(0, 120\]"):
        contact_windows(shell, [site("Kiruna")], 0.0, 10.0, step_s=200.0)
    with pytest.raises(ValueError, match="at least one gateway"):
        contact_windows(shell, [], 0.0, 10.0)
    for lookup in (windows.remaining_s, windows.next_window_s):
        with pytest.raises(ValueError, match="time_s must lie in the span"):
            lookup(0.0)


def test_roots_stay_in_their_brackets() -> None:
    target = np.array([0.0, 1e-9, 0.3, 0.999999, 1.0])
    roots = bracketed_root(lambda x: (x - target) ** 3 + 1e-3 * (x - target), np.zeros(5), np.ones(5))
    np.testing.assert_allclose(roots, target, atol=1e-6)
    assert len(bracketed_root(lambda x: x, np.zeros(0), np.ones(0))) == 0


@pytest.mark.slow
def test_a_thousand_satellites_over_a_day_take_seconds() -> None:
    import time

    shell = walker(1000, 50, 1, altitude_m=550e3, inclination_deg=53, epoch=EPOCH)
    gateways = [Gateway(str(index), -60.0 + 12 * index, 30.0 * index) for index in range(10)]
    contact_windows(shell, gateways, 0.0, 600.0)
    begin = time.perf_counter()
    contact_windows(shell, gateways, 0.0, 24 * HOUR_S)
    assert time.perf_counter() - begin < 4.5
