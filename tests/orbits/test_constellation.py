from __future__ import annotations

import copy
import pickle
import time

import numpy as np
import pytest

from satfl_env.orbits import (
    ConstellationScene,
    CowellOrbits,
    Gateway,
    KeplerOrbits,
    Orbits,
    Scene,
    load_elements,
    samples,
    site,
    sites,
    walker,
)
from satfl_env.orbits.ground_segment import ground_segment

EPOCH = "2026-03-01T00:00:00"
GATEWAYS = [site("Svalbard", min_elevation_deg=5), site("Kourou"), site("Awarua", min_elevation_deg=30)]


def make_orbits(kind: str) -> Orbits:
    shell = walker(12, 3, 1, altitude_m=700e3, inclination_deg=80, epoch=EPOCH)
    if kind == "walker":
        return shell
    if kind == "cowell":
        return CowellOrbits(shell, span_s=20_000.0)
    return load_elements(samples()[kind])


@pytest.fixture(scope="module", params=["walker", "cowell", "sentinel-like", "polar-like"])
def scene(request: pytest.FixtureRequest) -> ConstellationScene:
    return ConstellationScene(make_orbits(request.param), GATEWAYS)


def test_windows_at_an_instant_are_those_of_the_table(scene: ConstellationScene) -> None:
    table = scene.contact_windows(0.0, 12_000.0)
    seen = 0
    for time_s in (0.0, 1234.5, 4000.0, 7777.0):
        snapshot = scene.at(time_s)
        np.testing.assert_allclose(snapshot.window_s, table.remaining_s(time_s), atol=0.05)
        np.testing.assert_array_equal(snapshot.visible, snapshot.window_s > 0)
        seen += snapshot.visible.sum()
    assert seen > 0


def test_snapshots_do_not_depend_on_the_order_of_questions(scene: ConstellationScene) -> None:
    first = scene.at(3000.0).window_s
    scene.at(9000.0)
    np.testing.assert_array_equal(scene.at(3000.0).window_s, first)
    for twin in (copy.deepcopy(scene), ConstellationScene(scene.orbits, scene.gateways)):
        np.testing.assert_array_equal(twin.at(3000.0).window_s, first)


def test_bounds_hold(scene: ConstellationScene) -> None:
    for time_s in (0.0, 2000.0, 5000.0):
        snapshot = scene.at(time_s)
        assert snapshot.distance_m.min() >= scene.min_distance_m
        assert snapshot.distance_m.max() <= scene.max_distance_m
        assert np.abs(snapshot.position_m).max() <= scene.max_position_m
        assert np.linalg.norm(snapshot.velocity_mps, axis=-1).max() <= scene.max_speed_mps
        assert snapshot.window_s.max() <= scene.horizon_s


def test_snapshot_is_consistent(scene: ConstellationScene) -> None:
    before, now, after = (scene.at(time_s) for time_s in (1999.0, 2000.0, 2001.0))
    np.testing.assert_allclose((after.position_m - before.position_m) / 2, now.velocity_mps, atol=0.1)
    np.testing.assert_array_equal(before.gateway_position_m, after.gateway_position_m)
    sight = now.position_m[:, None] - now.gateway_position_m
    np.testing.assert_allclose(np.linalg.norm(sight, axis=-1), now.distance_m)
    assert now.gateway_frame is not None
    height = np.einsum("sgi,gi->sg", sight, now.gateway_frame[:, 2])
    sine = np.sin(np.radians([gateway.min_elevation_deg for gateway in GATEWAYS]))
    np.testing.assert_array_equal(height / now.distance_m > sine, now.visible)


def test_gateways_stay_where_they_are_on_the_globe() -> None:
    snapshot = ConstellationScene(make_orbits("walker"), GATEWAYS).at(500.0)
    np.testing.assert_array_equal(snapshot.gateway_position_m, ground_segment(GATEWAYS).position_m)


def test_windows_count_down_to_the_horizon() -> None:
    shell = make_orbits("walker")
    short = ConstellationScene(shell, GATEWAYS, horizon_s=60.0)
    full = ConstellationScene(shell, GATEWAYS)
    for time_s in (0.0, 900.0):
        np.testing.assert_allclose(short.at(time_s).window_s, np.minimum(full.at(time_s).window_s, 60.0), atol=1e-6)


def test_scene_satisfies_the_protocol_and_pickles() -> None:
    scene: Scene = ConstellationScene(make_orbits("walker"), GATEWAYS)
    assert (scene.num_satellites, scene.num_gateways) == (12, 3)
    assert scene.horizon_s == pytest.approx(5926, abs=5)
    restored = pickle.loads(pickle.dumps(scene))
    np.testing.assert_array_equal(restored.at(10.0).window_s, scene.at(10.0).window_s)


def test_a_snapshot_of_a_large_shell_is_fast() -> None:
    shell = walker(1584, 72, 39, altitude_m=550e3, inclination_deg=53, epoch=EPOCH)
    scene = ConstellationScene(shell, list(sites().values())[:30])
    scene.at(0.0)
    seconds = []
    for time_s in (600.0, 1200.0, 1800.0, 2400.0):
        begin = time.perf_counter()
        scene.at(time_s)
        seconds.append(time.perf_counter() - begin)
    # Some 25 ms on an idle core; the wide margin is for busy machines, a loop over pairs would take seconds.
    assert min(seconds) < 0.5


def test_bad_scenes_are_named() -> None:
    shell = make_orbits("walker")
    with pytest.raises(ValueError, match="at least one gateway"):
        ConstellationScene(shell, [])
    with pytest.raises(ValueError, match="horizon_s must be positive and finite, got 0"):
        ConstellationScene(shell, GATEWAYS, horizon_s=0.0)
    skimming = KeplerOrbits(EPOCH, *(np.array([value]) for value in (6.383e6, 0.0, 0.0, 0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="orbits must be higher than every gateway"):
        ConstellationScene(skimming, [Gateway("peak", 0.0, 0.0, 9000.0)])
