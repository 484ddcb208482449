from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.orbits import (
    ConstellationScene,
    Gateway,
    GeostationaryGateway,
    KeplerOrbits,
    OrbitingGateway,
    Orbits,
    SpaceGateway,
    contact_windows,
    earth_fixed_states,
    geodetic,
    line_of_sight,
    site,
    walker,
)

EPOCH = "2026-03-01T00:00:00"
HOUR_S, RADIUS_M, LIGHT_MPS = 3600.0, 6_378_137.0, 299_792_458.0
SHELL = walker(12, 3, 1, altitude_m=600e3, inclination_deg=70, epoch=EPOCH)


def orbit(perigee_m: float, eccentricity: float, *angles: float) -> KeplerOrbits:
    axis = (RADIUS_M + perigee_m) / (1 - eccentricity)
    return KeplerOrbits(EPOCH, *(np.array([value]) for value in (axis, eccentricity, *angles)))


def medium(altitude_m: float = 8062e3, **changes: float) -> OrbitingGateway:
    return OrbitingGateway("medium", orbit(altitude_m, 0.0, 1.0, 2.0, 0.0, 3.0), **changes)


def gateway_position_m(gateway: SpaceGateway, time_s: np.ndarray) -> np.ndarray:
    if isinstance(gateway, OrbitingGateway):
        return earth_fixed_states(gateway.orbits, time_s)[0][:, 0]
    longitude = np.radians(gateway.longitude_deg)
    return 42_164_172.0 * np.array([[np.cos(longitude), np.sin(longitude), 0.0]])


def stepped_windows(orbits: Orbits, gateway: SpaceGateway, end_s: float) -> list[tuple[float, float]]:
    """Windows of the first satellite from a grid of one second, by another criterion (Vallado's)."""
    time_s = np.arange(0.0, end_s + 0.5)
    seen = line_of_sight(
        earth_fixed_states(orbits, time_s)[0][:, 0],
        gateway_position_m(gateway, time_s),
        blocking_radius_m=RADIUS_M + gateway.grazing_height_m,
    )
    edges = np.diff(np.r_[False, seen, False].astype(int))
    return list(zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0) - 1, strict=True))


@settings(max_examples=25, deadline=None)
@given(
    perigee_km=st.integers(300, 2000),
    eccentricity=st.sampled_from([0.0, 0.02, 0.3]),
    angles=st.tuples(*[st.floats(0, 3.14)] * 4),
    altitude_km=st.sampled_from([8062, 20_200]),
    far_angles=st.tuples(*[st.floats(0, 3.14)] * 4),
    longitude_deg=st.none() | st.integers(-180, 360),
    grazing_m=st.sampled_from([0.0, 80e3, 250e3]),
    step_s=st.sampled_from([20.0, 60.0, 120.0]),
)
def test_no_window_is_lost_or_invented(
    perigee_km: int,
    eccentricity: float,
    angles: tuple[float, ...],
    altitude_km: int,
    far_angles: tuple[float, ...],
    longitude_deg: int | None,
    grazing_m: float,
    step_s: float,
) -> None:
    orbits = orbit(perigee_km * 1e3, eccentricity, *angles)
    gateway: SpaceGateway = OrbitingGateway("moves", orbit(altitude_km * 1e3, 0.0, *far_angles), grazing_m)
    if longitude_deg is not None:
        gateway = GeostationaryGateway("rests", longitude_deg, grazing_m)
    windows = contact_windows(orbits, [gateway], 0.0, 6 * HOUR_S, step_s=step_s)
    stepped = stepped_windows(orbits, gateway, 6 * HOUR_S)
    ours = list(zip(windows.rise_s, windows.set_s, strict=True))
    for first, last in stepped:
        assert any(rise <= first + 0.1 and fall >= last - 0.1 for rise, fall in ours)
    for rise, fall in ours:
        assert fall - rise < 1.0 or any(rise > first - 1.1 and fall < last + 1.1 for first, last in stepped)
    assert (windows.peak_s >= windows.rise_s - 1e-3).all()
    assert (windows.peak_s <= windows.set_s + 1e-3).all()


@pytest.mark.parametrize("deeper_m", [10.0, 1e3])
@pytest.mark.parametrize("start_s", [0.0, 37.0, 100.0])
def test_a_gap_between_two_grid_times_is_found(deeper_m: float, start_s: float) -> None:
    """A satellite whose line of sight dips a little below the grazing height is hidden for some seconds."""
    orbits, time_s = walker(1, 1, 0, altitude_m=1000e3, inclination_deg=90, epoch=EPOCH), np.arange(0.0, 2 * HOUR_S)
    satellite_m = earth_fixed_states(orbits, time_s)[0][:, 0]
    gateway_m = gateway_position_m(GeostationaryGateway("geo", 115.0), time_s)
    sight = gateway_m - satellite_m
    height_m = np.linalg.norm(np.cross(satellite_m, gateway_m), axis=1) / np.linalg.norm(sight, axis=1) - RADIUS_M
    height_m[(sight * satellite_m).sum(axis=1) > 0] = np.inf
    gateway = GeostationaryGateway("geo", 115.0, height_m.min() + deeper_m)
    hidden_s = time_s[height_m < gateway.grazing_height_m]
    windows = contact_windows(orbits, [gateway], start_s, 2 * HOUR_S, step_s=120.0)
    assert 0 < np.ptp(hidden_s) < 90
    assert windows.set_s[0] == pytest.approx(hidden_s.min(), abs=1.0)
    assert windows.rise_s[1] == pytest.approx(hidden_s.max(), abs=1.0)


def test_windows_between_two_grid_times_are_found() -> None:
    """Over a pole, a gateway sees nothing of the equator; near it, satellites there come out for moments only."""
    ring = walker(480, 1, 0, altitude_m=600e3, inclination_deg=0, epoch=EPOCH)
    gateway = OrbitingGateway("polar", orbit(8062e3, 0.0, np.pi / 2, 0.0, 0.0, np.pi / 2))
    coarse, fine = (contact_windows(ring, [gateway], 60.0, 660.0, step_s=step) for step in (120.0, 10.0))
    assert (np.floor((fine.rise_s - 60.0) / 120.0) == np.floor((fine.set_s - 60.0) / 120.0)).any()
    np.testing.assert_array_equal(coarse.satellite, fine.satellite)
    for name in ("rise_s", "set_s"):
        np.testing.assert_allclose(getattr(coarse, name), getattr(fine, name), atol=0.5)


def test_the_peak_is_when_the_gateway_stands_highest_in_the_satellites_sky() -> None:
    windows = contact_windows(SHELL, [medium()], 0.0, 4 * HOUR_S)
    time_s = np.arange(0.0, 4 * HOUR_S)
    satellites, gateway = earth_fixed_states(SHELL, time_s)[0], gateway_position_m(medium(), time_s)
    whole = (windows.rise_s > 0) & (windows.set_s < 4 * HOUR_S)
    assert whole.sum() > 5
    for row in np.flatnonzero(whole):
        inside = (time_s > windows.rise_s[row]) & (time_s < windows.set_s[row])
        satellite = satellites[inside, windows.satellite[row]]
        sight = gateway[inside] - satellite
        sine = (sight * satellite).sum(axis=1) / np.linalg.norm(sight, axis=1) / np.linalg.norm(satellite, axis=1)
        assert windows.peak_elevation_deg[row] == pytest.approx(np.degrees(np.arcsin(sine.max())), abs=0.01)
        assert windows.peak_s[row] == pytest.approx(time_s[inside][sine.argmax()], abs=1.0)


def test_gateways_of_all_kinds_share_a_scene() -> None:
    gateways = [medium(), site("Kourou"), GeostationaryGateway("geo", 20.0), Gateway("high", 46, 9, 20e3, -4.0)]
    scene = ConstellationScene(SHELL, gateways)
    snapshot, table = scene.at(1000.0), scene.contact_windows(0.0, 4 * HOUR_S)
    np.testing.assert_allclose(snapshot.window_s, np.minimum(table.remaining_s(1000.0), scene.horizon_s), atol=0.05)
    order = np.lexsort((table.rise_s, table.gateway, table.satellite))
    np.testing.assert_array_equal(order, np.arange(len(order)))
    for number, gateway in enumerate(gateways):
        alone = ConstellationScene(SHELL, [gateway])
        lone = alone.at(1000.0)
        np.testing.assert_allclose(snapshot.window_s[:, number], lone.window_s[:, 0], atol=1e-4)
        np.testing.assert_array_equal(snapshot.gateway_position_m[number], lone.gateway_position_m[0])
        of_one = alone.contact_windows(0.0, 4 * HOUR_S).set_s
        np.testing.assert_allclose(table.set_s[table.gateway == number], of_one, atol=1e-4)
    assert snapshot.distance_m.min() >= scene.min_distance_m
    assert snapshot.distance_m.max() <= scene.max_distance_m
    restored = pickle.loads(pickle.dumps(scene)).at(1000.0)
    np.testing.assert_array_equal(restored.window_s, snapshot.window_s)


def test_geostationary_gateways_rest_and_others_move() -> None:
    scene = ConstellationScene(SHELL, [GeostationaryGateway("geo", 340.0), medium()])
    before, after = scene.at(0.0), scene.at(600.0)
    np.testing.assert_array_equal(before.gateway_position_m[0], after.gateway_position_m[0])
    latitude, longitude, height_m = geodetic(before.gateway_position_m[0])
    assert (latitude, longitude) == (pytest.approx(0.0), pytest.approx(-20.0))
    assert height_m == pytest.approx(35_786e3, abs=1e3)
    # 3.9 km/s in a circle, less the turn of the frame.
    moved = np.linalg.norm(after.gateway_position_m[1] - before.gateway_position_m[1])
    assert 1.5e6 < moved < 3.5e6
    # A model takes a quarter of a second to geostationary height and back.
    assert 2 * before.distance_m[:, 0].min() / LIGHT_MPS > 0.23
    later = ConstellationScene(SHELL.advanced(600.0), [GeostationaryGateway("geo", 340.0), medium()]).at(0.0)
    np.testing.assert_allclose(later.gateway_position_m, after.gateway_position_m, atol=1e-2)
    np.testing.assert_allclose(later.window_s, after.window_s, atol=1e-3)


def test_gateways_in_space_look_down() -> None:
    over_a_pole = OrbitingGateway("pole", orbit(20_200e3, 0.0, np.pi / 2, 0.0, 0.0, np.pi / 2))
    snapshot = ConstellationScene(SHELL, [GeostationaryGateway("geo", 90.0), medium(), over_a_pole]).at(0.0)
    frame, position = snapshot.gateway_frame, snapshot.gateway_position_m
    assert frame is not None
    np.testing.assert_allclose(frame @ frame.swapaxes(1, 2), np.tile(np.eye(3), (3, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frame), 1.0)
    np.testing.assert_allclose(frame[:, 2], -position / np.linalg.norm(position, axis=1, keepdims=True), atol=1e-9)
    np.testing.assert_allclose(frame[0, 0], [-1, 0, 0], atol=1e-12)  # east at 90 degrees east


def test_the_way_is_clear_where_the_earth_is_not_between() -> None:
    gateways = [GeostationaryGateway("geo", 0.0), Gateway("high", 46, 9, 20e3, -4.0), site("Kourou")]
    snapshot = ConstellationScene(SHELL, gateways).at(0.0)
    assert snapshot.clear is not None
    blocking_m = RADIUS_M + 80e3
    seen = line_of_sight(snapshot.position_m, snapshot.gateway_position_m[0], blocking_radius_m=blocking_m)
    np.testing.assert_array_equal(snapshot.clear[:, 0], seen)
    np.testing.assert_array_equal(snapshot.clear[:, 1], snapshot.visible[:, 1])
    sight = snapshot.position_m - snapshot.gateway_position_m[2]
    np.testing.assert_array_equal(snapshot.clear[:, 2], (sight * snapshot.gateway_frame[2, 2]).sum(axis=1) > 0)
    assert ConstellationScene(SHELL, [site("Kourou")]).at(0.0).clear is None


def test_gateways_in_space_are_higher_than_all_satellites() -> None:
    with pytest.raises(ValueError, match="orbits must be lower than every gateway in space, got one 100000"):
        ConstellationScene(SHELL, [medium(500e3)])
    with pytest.raises(ValueError, match="orbits must be those of one satellite, got 12"):
        OrbitingGateway("many", SHELL)
    with pytest.raises(ValueError, match="should be less than or equal to 360"):
        GeostationaryGateway("geo", 400.0)
