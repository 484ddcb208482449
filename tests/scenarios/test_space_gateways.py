from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest

from satfl_env import SatFLEnv, SatFLVectorEnv, scenarios
from satfl_env.links import IslBudget
from satfl_env.orbits import ConstellationScene, KeplerOrbits, OrbitingGateway, line_of_sight, site, walker
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation import GridLinks, OnboardAggregation
from tests.factories import decide

GATEWAYS: list[Any] = [
    "Kourou",
    {"name": "Alps", "latitude_deg": 46, "longitude_deg": 9, "altitude_m": 20e3, "min_elevation_deg": -4},
    {"kind": "geo", "name": "Relay", "longitude_deg": 9},
    {"kind": "meo", "name": "Medium", "altitude_m": 8062e3, "inclination_deg": 0, "phase_deg": 30},
]
SMALL = {
    "training.engine": "none",
    "data.test_samples": 4,
    "data.partition.max_samples": 20,
    "data.partition.span_s": 7200.0,
    "constellation.gateways": GATEWAYS,
    "rounds.episode": 4,
}


def simulation(**overrides: Any) -> Any:
    return scenarios.build(scenarios.load("walker-earth", **{**SMALL, **overrides}))


@pytest.mark.parametrize(
    ("gateway", "message"),
    [
        ({"kind": "moon", "name": "x"}, "gateways.0.kind: must be one of 'ground', 'geo', 'meo', got 'moon'"),
        ({"kind": "geo", "name": "x"}, "gateways.0.longitude_deg: missing"),
        (
            {"kind": "geo", "name": "x", "longitude_deg": 0, "grazing_height_m": -1},
            "gateways.0.grazing_height_m: Input should be greater than or equal to 0, got -1",
        ),
        (
            {"name": "x", "latitude_deg": 1, "longitude_deg": 1, "phase_deg": 3},
            "gateways.0.phase_deg: unknown key of kind 'ground', belongs to kind 'meo'",
        ),
        (
            {"kind": "meo", "name": "x", "altitude_m": 500e3, "inclination_deg": 10},
            "gateways: orbits must be lower than every gateway in space, got one 100000.0 m higher",
        ),
        (
            {"name": "x", "latitude_deg": 1, "longitude_deg": 1, "altitude_m": 20e3, "min_elevation_deg": -9},
            "gateways.0.min_elevation_deg must be at least -4.53147, the horizon from 20000 m, got -9",
        ),
    ],
)
def test_bad_gateways_are_named(gateway, message):
    with pytest.raises(ScenarioError) as error:
        simulation(**{"constellation.gateways": [gateway]})
    assert str(error.value).splitlines()[1:] == [f"  constellation.{message}"]


def test_a_federation_uses_gateways_of_all_kinds():
    played = simulation()
    state, used = played.reset(0), set()
    for _ in range(3):
        places, seen = played.snapshot.gateway_position_m, state.visible[:, 2]
        blocked = ~line_of_sight(state.position_m, places[2], blocking_radius_m=6_458_137.0)
        np.testing.assert_array_equal(seen, ~blocked)
        # Half of what a model takes to geostationary height and back is 2 x 36,000 km at the speed of light, at least.
        assert state.link_s[seen, 2].min() > 2 * 35.5e6 / 299_792_458.0
        decision = decide(state)
        state, report = played.step(decision)
        used |= set(decision.association[report.returned])
        moved = np.linalg.norm(played.snapshot.gateway_position_m - places, axis=1)
        assert (moved > 0).tolist() == [False, False, False, True]
    assert {2, 3} <= used


def test_episodes_start_after_the_epoch_for_gateways_as_well():
    late = simulation(**{"constellation.start_within_s": 86_400.0})
    late.reset(1)
    elapsed_s = (late.scene.orbits.epoch - late.scene.gateways[3].orbits.epoch).sec
    assert elapsed_s > 60
    fixed = simulation(**{"constellation.start_within_s": 0.0})
    fixed.reset(1)
    np.testing.assert_allclose(
        fixed.scene.at(elapsed_s).gateway_position_m, late.scene.at(0.0).gateway_position_m, atol=0.1
    )


def test_relays_and_late_updates_under_gateways_in_space_go_on_from_a_state():
    others = {"rounds.relay": {}, "rounds.late": {"buffer": 1}, "constellation.satellites": 54}
    played = simulation(**others)
    state = played.reset(3)
    state, _ = played.step(decide(state))
    saved = played.get_state()
    expected = [report for state, report in _play(played, state)]
    twin = simulation(**others)
    again = [report for _, report in _play(twin, twin.set_state(saved))]
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_array_equal(one.outcome, other.outcome)
        np.testing.assert_array_equal(one.upload_s, other.upload_s)
    assert sum(report.returned.sum() for report in expected) > 0


def _play(played, state):
    while not played.finished:
        state, report = played.step(decide(state))
        yield state, report


def test_observations_fit_the_space_alone_and_in_a_vector():
    env = SatFLEnv("walker-earth", SMALL, render_mode="rgb_array")
    together = SatFLVectorEnv(2, scenario="walker-earth", overrides=SMALL)
    observation, _ = env.reset(seed=5)
    batch, _ = together.reset(seed=[5, 6])
    env.action_space.seed(0)
    for _ in range(2):
        assert observation in env.observation_space
        for key, value in observation.items():
            np.testing.assert_array_equal(batch[key][0], value)
        action = env.action_space.sample()
        observation, *_ = env.step(action)
        batch, *_ = together.step({key: np.stack([value, value]) for key, value in action.items()})
    assert env.render().std() > 0


def test_platforms_see_more_and_longer_than_ground_stations_below_them():
    seen, window_s = [], []
    for height_m, lowest_deg in ((20e3, -4.0), (0.0, 10.0)):
        places = [
            {"name": "Ocean", "latitude_deg": 35, "longitude_deg": -40},
            {"name": "Sea", "latitude_deg": -38, "longitude_deg": 160},
        ]
        places = [{**place, "altitude_m": height_m, "min_elevation_deg": lowest_deg} for place in places]
        overrides = {"training.engine": "none", "data.test_samples": 4, "constellation.gateways": places}
        played = scenarios.build(scenarios.load("stratosphere", **overrides))
        states = [played.reset(0)]
        for _ in range(4):
            states.append(played.step(decide(states[-1]))[0])
        seen.append(sum(state.visible.sum() for state in states))
        window_s.append(max(state.window_s.max() for state in states))
    assert seen[0] > 2 * seen[1] > 0
    assert window_s[0] > 1.3 * window_s[1]


def test_contacts_to_come_are_foreseen_for_gateways_of_all_kinds():
    played = simulation()
    state = played.reset(4)
    state, _ = played.step(decide(state))
    table = played.scene.contact_windows(state.time_s, state.time_s + 2 * played.scene.horizon_s)
    rise_s, _ = table.next_window_s(state.time_s)
    foreseen_s = np.minimum(rise_s - state.time_s, played.scene.horizon_s)
    np.testing.assert_allclose(state.contact_start_s[..., 0], foreseen_s, atol=0.1)
    assert (foreseen_s[:, 2:] < played.scene.horizon_s).any()


def test_gateways_in_space_come_as_parts_into_pickled_copies():
    """A scene of one's own over a satellite on a Molniya orbit, and sinks of one's own topology."""
    orbits = walker(18, 2, 1, altitude_m=600e3, inclination_deg=70, epoch="2026-03-20T00:00:00")
    ones = np.ones(1)
    molniya = KeplerOrbits(
        "2026-03-20T00:00:00", 26.56e6 * ones, 0.6 * ones, 1.107 * ones, ones, 4.712 * ones, 3 * ones
    )
    parts = {
        "scene": partial(_scene_over, orbits, OrbitingGateway("Molniya", molniya)),
        "protocol": OnboardAggregation(GridLinks(2, 1), IslBudget()),
    }
    overrides = {"training.engine": "none", "data.test_samples": 4, "rounds.episode": 3}
    env = SatFLEnv("starlink-shell", overrides, parts=parts)
    observation, _ = env.reset(seed=1)
    assert observation["visible"].shape == (18, 2)
    assert observation["visible"][:, 0].any()
    env.action_space.seed(1)
    action = env.action_space.sample()
    twin = pickle.loads(pickle.dumps(env))
    expected, *_ = env.step(action)
    after, *_ = twin.step(action)
    for key, value in expected.items():
        np.testing.assert_array_equal(after[key], value)


def _scene_over(orbits, gateway, rng):
    return ConstellationScene(orbits, [gateway, site("Kourou")])
