from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

import networkx
import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path

from satfl_env import scenarios
from satfl_env.links import FixedIsl, IslBudget
from satfl_env.orbits import ConstellationScene, line_of_sight, site, walker
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation.protocols import (
    EdgeServers,
    GridLinks,
    OnboardAggregation,
    PlaneLinks,
    Relays,
    direct_contacts,
)
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
    relays = Relays(PlaneLinks(2), FixedIsl(rate_bps)).contacts(snapshot, BITS)
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
    relays = Relays(PlaneLinks(2), FixedIsl(RATE_BPS)).contacts(snapshot, BITS)
    np.testing.assert_array_equal(relays.snapshot.visible, snapshot.visible)
    np.testing.assert_array_equal(relays.sender, direct_contacts(snapshot).sender)


def grid_of(planes: int, per_plane: int, phasing: int, **changes: object) -> set[tuple[int, int]]:
    one, other = GridLinks(planes, phasing, **changes).edges(planes * per_plane)
    return {(int(a), int(b)) for a, b in zip(one, other, strict=True)}


@pytest.mark.parametrize(("planes", "per_plane", "phasing"), [(6, 9, 1), (6, 5, 5), (5, 8, 3), (72, 22, 39)])
def test_neighbours_in_the_grid_are_the_nearest_in_phase(planes, per_plane, phasing):
    edges = grid_of(planes, per_plane, phasing)
    assert set(np.bincount(np.array([*edges]).ravel())) == {4}
    number = np.arange(planes * per_plane)
    plane, slot = np.divmod(number, per_plane)
    phase = slot / per_plane + phasing * plane / len(number)
    for one, other in edges:
        apart = (plane[other] - plane[one]) % planes
        assert apart in (0, 1, planes - 1)
        turn = (phase[other] - phase[one] + 0.5) % 1 - 0.5
        assert abs(turn) == pytest.approx(1 / per_plane) if apart == 0 else abs(turn) <= 0.5 / per_plane + 1e-9


def test_small_grids_have_the_links_that_there_are():
    assert grid_of(1, 1, 0) == set()
    assert grid_of(1, 2, 0) == {(0, 1)}
    assert grid_of(2, 1, 0) == {(0, 1)}
    assert grid_of(3, 1, 0) == {(0, 1), (1, 2), (0, 2)}
    assert grid_of(1, 4, 0) == {(0, 1), (1, 2), (2, 3), (0, 3)}
    # The first and the last plane of a star fly in opposite directions.
    assert grid_of(3, 1, 0, closed=False) == {(0, 1), (1, 2)}


@pytest.mark.parametrize("grazing_height_m", [0.0, 80e3, 560e3])
def test_shortest_ways_through_the_grid_agree_with_networkx(scene, grazing_height_m):
    position, isl = scene.at(900.0).position_m, IslBudget()
    relays = Relays(GridLinks(2, 1), isl, grazing_height_m=grazing_height_m)
    graph = networkx.Graph()
    graph.add_nodes_from(range(18))
    for one, other in zip(*GridLinks(2, 1).edges(18), strict=True):
        along = np.linspace(position[one], position[other], 2001)
        if np.linalg.norm(along, axis=1).min() > 6_378_137.0 + grazing_height_m:
            apart = np.linalg.norm(position[one] - position[other])
            graph.add_edge(one, other, time_s=BITS / isl.rates_bps(np.array(apart)) + apart / LIGHT_MPS)
    sinks = np.array([3, 11])
    found = relays.topology.ways(position, sinks, partial(relays._hop_s, BITS)).carry_s
    for row, sink in enumerate(sinks):
        expected = networkx.single_source_dijkstra_path_length(graph, sink, weight="time_s")
        np.testing.assert_allclose(found[row], [expected.get(satellite, np.inf) for satellite in range(18)])
    assert np.isinf(found).any() == (grazing_height_m > 100e3)


@pytest.mark.parametrize("topology", [PlaneLinks(2), GridLinks(2, 1)])
@pytest.mark.parametrize("grazing_height_m", [0.0, 560e3])
def test_ways_lead_hop_by_hop_to_the_sink(scene, topology, grazing_height_m):
    position, everyone = scene.at(900.0).position_m, np.arange(18)
    hop_s = partial(Relays(topology, IslBudget(), grazing_height_m=grazing_height_m)._hop_s, BITS)
    sinks = np.array([3, 11])
    carry_s, via = topology.ways(position, sinks, hop_s)
    for row, sink in enumerate(sinks):
        linked = np.isfinite(carry_s[row]) & (everyone != sink)
        one, onward = everyone[linked], via[row, linked]
        np.testing.assert_allclose(carry_s[row, one], hop_s(position[one], position[onward]) + carry_s[row, onward])
        np.testing.assert_array_equal(via[row, ~linked], everyone[~linked])


@pytest.mark.parametrize("topology", [PlaneLinks(2), GridLinks(2, 1)])
def test_no_model_goes_by_way_of_a_satellite_that_is_down(scene, topology):
    """One is in sight, and the next in the plane is down: models from beyond it go round the other way."""
    snapshot = scene.at(4800.0)
    sink = int(np.flatnonzero(snapshot.visible[:, 0])[0])
    plane, slot = divmod(sink, 9)
    down, beyond = plane * 9 + (slot + 1) % 9, plane * 9 + (slot + 2) % 9
    visible = np.zeros_like(snapshot.visible)
    visible[sink, 0] = True
    alone = replace(snapshot, visible=visible, window_s=np.where(visible, 600.0, 0.0))
    relays = Relays(topology, FixedIsl(RATE_BPS), grazing_height_m=80e3)
    whole = relays.contacts(alone, BITS)
    broken = relays.contacts(replace(alone, satellite_up=np.arange(18) != down), BITS)
    assert whole.carry_s[down, 0] > 0
    assert not broken.snapshot.visible[down].any()
    assert broken.sender[beyond, 0] == sink
    assert broken.carry_s[beyond, 0] > whole.carry_s[beyond, 0] + BITS / RATE_BPS
    before = plane * 9 + (slot - 1) % 9
    assert broken.carry_s[before, 0] == whole.carry_s[before, 0]


@pytest.mark.parametrize("topology", [PlaneLinks(2), GridLinks(2, 1)])
def test_without_a_contact_nobody_is_relayed(scene, topology):
    snapshot = scene.at(900.0)
    dark = replace(snapshot, visible=np.zeros((18, 3), dtype=bool), window_s=np.zeros((18, 3)))
    assert not Relays(topology, FixedIsl()).contacts(dark, BITS).snapshot.visible.any()


def test_satellites_reach_gateways_through_other_planes(scene):
    snapshot = scene.at(4800.0)
    reached = [Relays(of, FixedIsl(RATE_BPS)).contacts(snapshot, BITS) for of in (PlaneLinks(2), GridLinks(2, 1))]
    assert reached[1].snapshot.visible.sum() > reached[0].snapshot.visible.sum()
    other_plane = reached[1].snapshot.visible & (reached[1].sender // 9 != np.arange(18)[:, None] // 9)
    assert other_plane.any()
    assert (reached[1].carry_s[other_plane] > BITS / RATE_BPS).all()


def test_a_link_budget_by_hand():
    """10 W are 10 dBW; 77 dBi of both antennas; 186.77 dB are lost over 2,000 km at 26 GHz; noise is -114.98 dBW."""
    snr_db = 10 + 77 - 186.77 - (-228.599 + 24.624 + 2 + 86.990)
    assert IslBudget().rates_bps(np.array(2e6)) == pytest.approx(5e8 * np.log2(1 + 10 ** (snr_db / 10)), rel=2e-3)


def test_sending_to_another_satellite_draws_its_own_power():
    """All that a satellite spends on transmission is the power of each link times the time on it."""
    spent = {}
    for power_w in (None, 10.0, 2.5):
        relay = {"topology": "grid", "isl": {"kind": "fixed", "rate_bps": 1e6, "transmit_power_w": power_w}}
        scenario = scenarios.load("walker-earth", **RELAYED, **{"rounds.relay": relay})
        simulation = scenarios.build(scenario)
        state = simulation.reset(0)
        decision = decide(state, cpu_frequency=np.full(27, 3e8))
        carry_s = simulation._view.contacts.carry_s[decision.pairs]
        _, report = simulation.step(decision)
        spent[power_w] = report.transmit_energy_j
        sent = report.returned
        assert (carry_s[sent] > 0).any()
        expected_j = 10.0 * (report.upload_s - carry_s) + (10.0 if power_w is None else power_w) * carry_s
        np.testing.assert_allclose(report.transmit_energy_j[sent], expected_j[sent])
    np.testing.assert_allclose(spent[None], spent[10.0])
    assert spent[2.5].sum() < spent[10.0].sum()


@pytest.mark.parametrize("height_m", [-1.0, 1.1e6])
def test_lines_of_sight_clear_what_those_to_gateways_in_space_may(height_m):
    with pytest.raises(ScenarioError, match=r"rounds\.relay\.grazing_height_m: .*(0|1000000), got"):
        scenarios.load("walker-earth", **{"rounds.relay": {"grazing_height_m": height_m}})


def test_links_have_a_rate_or_a_budget():
    with pytest.raises(ScenarioError, match=r"rounds\.relay\.isl\.rate_bps: unknown key"):
        scenarios.load("walker-earth", **{"rounds.relay": {"isl": {"kind": "budget", "rate_bps": 1000.0}}})
    for isl in (IslBudget(gain_dbi=30.0), FixedIsl(1e6)):
        relay = scenarios.load("walker-earth", **{"rounds.relay": {"isl": asdict(isl)}}).rounds.relay
        assert relay.isl == isl
    assert scenarios.load("walker-earth", **{"rounds.relay": {}}).rounds.relay.isl == FixedIsl(1e8)


def test_relays_bring_more_updates_back():
    counts = []
    for relay in (None, {"isl": {"kind": "fixed", "rate_bps": 1e8}}):
        scenario = scenarios.load("walker-earth", **RELAYED, **{"rounds.relay": relay})
        simulation = scenarios.build(scenario)
        state = simulation.reset(0)
        returned = 0
        for _ in range(4):
            state, report = simulation.step(decide(state, cpu_frequency=np.full(27, 3e8)))
            returned += report.returned.sum()
        counts.append(returned)
    assert counts[1] > 1.5 * counts[0]


def test_a_protocol_with_links_of_its_own_does_not_go_into_relays():
    links = PlaneLinks(3), FixedIsl()
    for inner in (EdgeServers(*links), OnboardAggregation(*links), Relays(*links)):
        with pytest.raises(
            ValueError, match=f"no links of its own, got {type(inner).__name__}: it goes without Relays"
        ):
            Relays(*links, inner)


def test_relays_need_planes():
    with pytest.raises(
        ScenarioError, match=r"rounds\.relay and rounds\.gossip need constellation\.kind 'walker', got 'planar'"
    ):
        scenarios.load("leo-multitask", **{"rounds.relay": {}})
