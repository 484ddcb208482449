"""Constellations that are drawn anew in every episode."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from satfl_env import SatFLEnv, scenarios
from satfl_env.orbits import FamilyScene, geodetic_deg, positions_m
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation import ScenePart

PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 2}
BOUNDS = ("horizon_s", "min_distance_m", "max_distance_m", "max_position_m", "max_speed_mps")
SEEDS = range(40)


def scene_part(name: str = "earth") -> ScenePart:
    scenario = scenarios.load(name)
    return scenario.constellation.scenes(scenario.rounds)


def drawn(name: str = "earth") -> list[FamilyScene]:
    make = scene_part(name)
    return [make(np.random.default_rng(seed)) for seed in SEEDS]


def planes(scene: FamilyScene) -> int:
    return len(np.unique(scene.orbits.raan_rad.round(9)))


def test_everything_that_may_differ_does_and_stays_in_its_range():
    family, scenes = scenarios.load("earth").constellation, drawn()
    assert {planes(scene) for scene in scenes} == set(family.planes)
    altitude_m = np.array([scene.orbits.semi_major_axis_m for scene in scenes]) - EQUATORIAL_RADIUS_M
    inclination_deg = np.degrees([scene.orbits.inclination_rad for scene in scenes])
    for values, (low, high) in ((altitude_m, family.altitude_m), (inclination_deg, family.inclination_deg)):
        # One value for all satellites of a scene, spread over the whole range.
        np.testing.assert_allclose(np.ptp(values, axis=1), 0.0, atol=1e-6)
        assert low <= values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high
    names = {gateway.name for gateway in family.gateways}
    chosen = [{gateway.name for gateway in scene.gateways} for scene in scenes]
    assert all(len(one) == scene.num_gateways == 8 and one < names for one, scene in zip(chosen, scenes, strict=True))
    assert set().union(*chosen) == names
    assert len({scene.orbits.epoch.jd for scene in scenes}) == len(scenes)


def test_a_scene_is_a_walker_constellation():
    """Satellites of a plane are evenly spaced, and planes are a phase apart that is a multiple of 360 / T degrees."""
    phasings = set()
    for scene in drawn()[:10]:
        count, per_plane = scene.num_satellites, scene.num_satellites // planes(scene)
        phase = (scene.orbits.argument_of_perigee_rad + scene.orbits.mean_anomaly_rad).reshape(-1, per_plane)
        np.testing.assert_allclose(np.diff(phase, axis=1), 2 * np.pi / per_plane)
        steps = np.diff(phase[:, 0]) / (2 * np.pi / count)
        np.testing.assert_allclose(steps, steps.round(), atol=1e-6)
        phasings.add(round(steps[0]) % planes(scene))
    assert len(phasings) > 3


def test_planes_stand_anywhere():
    family = scenarios.load("earth", **{"constellation.start_within_s": 0.0})
    make = family.constellation.scenes(family.rounds)
    node_deg = [np.degrees(make(np.random.default_rng(seed)).orbits.raan_rad[0]) for seed in SEEDS]
    assert np.histogram(node_deg, bins=4, range=(0.0, 360.0))[0].min() > 2


def test_bounds_hold_for_the_whole_family():
    """What is allowed is what is met: all draws have the same bounds, and none is far from what they bound."""
    scenes = drawn()
    for name in BOUNDS:
        assert len({getattr(scene, name) for scene in scenes}) == 1
    position_m, speed_mps, distance_m = [], [], []
    for scene in scenes:
        snapshot = scene.at(3000.0)
        position_m.append(np.linalg.norm(snapshot.position_m, axis=1).max())
        speed_mps.append(np.linalg.norm(snapshot.velocity_mps, axis=1).max())
        distance_m.extend((snapshot.distance_m.min(), snapshot.distance_m.max()))
        assert snapshot.window_s.max() <= scene.horizon_s == pytest.approx(scene.orbits.period_s.max(), rel=0.07)
    scene = scenes[0]
    assert 0.98 * scene.max_position_m < max(position_m) <= scene.max_position_m
    assert 0.9 * scene.max_speed_mps < max(speed_mps) <= scene.max_speed_mps
    assert scene.min_distance_m <= min(distance_m)
    assert 0.98 * scene.max_distance_m < max(distance_m) <= scene.max_distance_m


def test_episodes_have_one_space_and_their_seed_decides():
    env, twin = (SatFLEnv("earth", overrides=PHYSICS_ONLY) for _ in range(2))
    first, _ = env.reset(seed=1)
    other, _ = env.reset(seed=2)
    again, _ = twin.reset(seed=1)
    assert first in env.observation_space
    assert other in env.observation_space
    assert env.observation_space == SatFLEnv("earth", overrides=PHYSICS_ONLY).observation_space
    for key, values in first.items():
        np.testing.assert_array_equal(values, again[key])
    assert not np.array_equal(first["position_m"], other["position_m"])


def test_what_is_held_out_is_seen_in_no_training_episode():
    train, held_out = (scenarios.load(name).constellation for name in ("earth", "earth-held-out"))
    assert not set(train.planes) & set(held_out.planes)
    for field in ("altitude_m", "inclination_deg"):
        (_, highest), (lowest, _) = getattr(train, field), getattr(held_out, field)
        assert highest < lowest
    assert not {it.name for it in train.gateways} & {it.name for it in held_out.gateways}
    # Stations beside each other would be seen alike under two names.
    for one, other in product(train.sites, held_out.sites):
        a, b = (_direction(it.latitude_deg, it.longitude_deg) for it in (one, other))
        assert EQUATORIAL_RADIUS_M * np.arccos(a @ b) > 700e3


def _direction(latitude_deg: float, longitude_deg: float) -> np.ndarray:
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    level = np.cos(latitude)
    return np.array([level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)])


def test_both_families_have_equal_sizes_so_that_a_policy_fits_both():
    spaces = [SatFLEnv(name, overrides=PHYSICS_ONLY).action_space for name in ("earth", "earth-held-out")]
    assert spaces[0] == spaces[1]


def test_chosen_gateways_stand_at_their_places():
    scene = drawn()[0]
    _, gateways_m = positions_m(scene, np.zeros(1))
    latitude, longitude = geodetic_deg(gateways_m[0])
    stated = np.array([(gateway.latitude_deg, gateway.longitude_deg) for gateway in scene.gateways])
    np.testing.assert_allclose(np.stack([latitude, longitude], axis=-1), stated, atol=1e-6)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"planes": [2, 7]}, "constellation.planes must divide satellites = 24, got 7"),
        ({"planes": []}, "constellation.planes"),
        ({"altitude_m": [8e5, 5e5]}, "constellation.altitude_m: must be [lowest, highest] with lowest <= highest"),
        ({"altitude_m": [5, 8e5]}, "constellation.altitude_m.0"),
        ({"inclination_deg": [45, 190]}, "constellation.inclination_deg.1"),
        ({"gateways_drawn": 24}, "gateways_drawn must be at most 23, as many as gateways, got 24"),
        ({"start_within_s": 1e9}, "constellation.start_within_s is too long, got 1e+09"),
    ],
)
def test_impossible_families_are_refused_by_field(overrides, words):
    with pytest.raises(ScenarioError) as error:
        scenarios.load("earth", **{f"constellation.{name}": value for name, value in overrides.items()})
    assert words in str(error.value)


def test_planes_that_differ_have_no_fixed_links():
    with pytest.raises(ScenarioError, match=r"need constellation\.kind 'walker', got 'walker-family'"):
        scenarios.load("earth", **{"rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e8}}})
