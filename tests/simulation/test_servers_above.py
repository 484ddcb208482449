"""Servers above the satellites: platforms, and a satellite in medium orbit that hears one satellite of each plane."""

from __future__ import annotations

import numpy as np
import pytest

from satfl_env import Outcome, scenarios
from satfl_env.scenarios import Scenario
from tests.factories import decide

PLANES, BITS = 4, 1e9
RELAY = {"topology": "plane", "isl": {"kind": "fixed", "rate_bps": 1e8}, "combine_on_board": True}
MEO = [{"kind": "meo", "name": "Server", "altitude_m": 8062e3, "inclination_deg": 0}]
HERE = {"name": "Here", "latitude_deg": 46, "longitude_deg": 9}


def load(gateways: list, **changes: object) -> Scenario:
    walker = {"kind": "walker", "pattern": "star", "satellites": 6 * PLANES, "planes": PLANES, "phasing": 1}
    orbits = {"altitude_m": 1.2e6, "inclination_deg": 87.9, "epoch": "2026-03-20T00:00:00", "gateways": gateways}
    physics = {"training.engine": "none", "rounds.minimum_s": 300, "links.model_bits": BITS}
    return scenarios.load("stratosphere", **{**physics, "constellation": walker | orbits, **changes})


def test_a_server_in_medium_orbit_hears_one_satellite_of_each_plane():
    """That with the longest contact, less the way there and back, searched by hand; the whole plane goes through it."""
    scenario = load(MEO, **{"rounds.relay": RELAY})
    simulation = scenarios.build(scenario)
    state, protocol = simulation.reset(0), scenario.rounds.protocol(scenario.constellation)
    for _ in range(3):
        snapshot = simulation.snapshot
        sender = protocol.contacts(snapshot, BITS).sender[:, 0].reshape(PLANES, -1)
        for plane, senders in enumerate(sender):
            members = np.arange(plane * 6, plane * 6 + 6)
            position = snapshot.position_m[members]
            # In the ring of six each hop is one chord, taken up to three times.
            hop_s = BITS / 1e8 + np.linalg.norm(position[0] - position[1]) / 299_792_458
            steps = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
            way_s = np.minimum(steps, 6 - steps) * hop_s
            window_s = np.where(snapshot.visible[members, 0], snapshot.window_s[members, 0], -np.inf)
            np.testing.assert_array_equal(senders, members[(window_s - 2 * way_s).argmax(axis=1)])
        state, report = simulation.step(decide(state))
        assert not np.isin(report.outcome, (Outcome.SAT_OUT, Outcome.NOT_VISIBLE)).any()


@pytest.mark.parametrize(("height_m", "elevation_deg"), [(0.0, 10), (20e3, -4)])
def test_a_platform_sees_as_far_as_its_horizon(height_m: float, elevation_deg: float):
    """The angle at the Earth's centre to the farthest satellite in sight, by hand from the triangle of the three."""
    simulation = scenarios.build(load([{**HERE, "altitude_m": height_m, "min_elevation_deg": elevation_deg}]))
    state = simulation.reset(0)
    earth, seen = 6_371e3, 0
    elevation = np.radians(elevation_deg)
    reach = np.pi / 2 - elevation - np.arcsin((earth + height_m) * np.cos(elevation) / (earth + 1.2e6))
    for _ in range(8):
        snapshot = simulation.snapshot
        place, position = snapshot.gateway_position_m[0], snapshot.position_m
        cosine = position @ place / np.linalg.norm(position, axis=1) / np.linalg.norm(place)
        clearly = np.abs(np.arccos(cosine) - reach) > np.radians(1)
        np.testing.assert_array_equal(state.visible[clearly, 0], (np.arccos(cosine) < reach)[clearly])
        seen += state.visible.sum()
        state, _ = simulation.step(decide(state))
    assert seen
