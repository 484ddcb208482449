from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path

from satfl_env import scenarios
from satfl_env.orbits import ConstellationScene, line_of_sight, site, walker
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation.protocols import direct_contacts, plane_contacts
from tests.factories import decide

BITS, RATE_BPS, LIGHT_MPS = 1e8, 1e8, 299_792_458.0
RELAYED = {
    "training.engine": "none",
    "data.test_samples": 4,
    "data.partition": {"span_s": 7200.0, "max_samples": 20},
    "constellation.satellites": 27,
    "constellation.planes": 3,
    "constellation.phasing": 1,
}


@pytest.fixture(scope="module")
def scene() -> ConstellationScene:
    orbits = walker(18, 2, 1, altitude_m=600e3, inclination_deg=70, epoch="2026-03-20T00:00:00")
    return ConstellationScene(orbits, [site("Svalbard"), site("Kourou"), site("Awarua")])


@pytest.mark.parametrize("rate_bps", [RATE_BPS, RATE_BPS / 100])
@pytest.mark.parametrize("time_s", [0.0, 1500.0, 3300.0, 5100.0])
def test_relays_are_those_that_leave_the_most_time(scene, time_s, rate_bps):
    """Over slow links a model takes so long on its way there and back that a nearer satellite may be the better one."""
    snapshot = scene.at(time_s)
    relays = plane_contacts(snapshot, 2, BITS, rate_bps)
    for plane in (range(9), range(9, 18)):
        position = snapshot.position_m[list(plane)]
        apart = np.linalg.norm(position[:, None] - position, axis=-1)
        links = np.where(line_of_sight(position[:, None], position), BITS / rate_bps + apart / LIGHT_MPS, 0.0)
        np.fill_diagonal(links, 0.0)
        carry = shortest_path(links, directed=False)
        for one, satellite in enumerate(plane):
            for gateway in range(3):
                left = [
                    snapshot.window_s[mate, gateway] - 2 * carry[one, other] if snapshot.visible[mate, gateway] else -1
                    for other, mate in enumerate(plane)
                ]
                assert relays.snapshot.visible[satellite, gateway] == (max(left) > 0)
                if max(left) <= 0:
                    assert relays.snapshot.window_s[satellite, gateway] == 0
                    continue
                chosen = relays.sender[satellite, gateway] - plane[0]
                assert left[chosen] == pytest.approx(max(left))
                assert relays.carry_s[satellite, gateway] == pytest.approx(carry[one, chosen])
                assert relays.snapshot.distance_m[satellite, gateway] == snapshot.distance_m[plane[chosen], gateway]
    if snapshot.visible.any() and rate_bps == RATE_BPS:
        assert relays.snapshot.visible.sum() > snapshot.visible.sum()


def test_planes_whose_satellites_do_not_see_one_another_have_no_relays():
    orbits = walker(8, 2, 1, altitude_m=600e3, inclination_deg=70, epoch="2026-03-20T00:00:00")
    snapshot = ConstellationScene(orbits, [site("Svalbard")]).at(0.0)
    relays = plane_contacts(snapshot, 2, BITS, RATE_BPS)
    np.testing.assert_array_equal(relays.snapshot.visible, snapshot.visible)
    np.testing.assert_array_equal(relays.sender, direct_contacts(snapshot).sender)


def test_relays_bring_more_updates_back():
    counts = []
    for relay in (None, {"isl_rate_bps": 1e8}):
        scenario = scenarios.load("walker-earth", **RELAYED, **{"rounds.relay": relay})
        simulation = scenarios.build(scenario)
        state = simulation.reset(0)
        returned = 0
        for _ in range(4):
            state, report = simulation.step(decide(state, cpu_frequency=np.full(27, 3e8)))
            returned += report.returned.sum()
        counts.append(returned)
    assert counts[1] > 1.5 * counts[0]


def test_relays_need_planes():
    with pytest.raises(ScenarioError, match=r"rounds\.relay needs constellation\.kind 'walker', got 'planar'"):
        scenarios.load("leo-multitask", **{"rounds.relay": {}})
