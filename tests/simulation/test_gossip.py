from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env import Simulation, scenarios
from satfl_env.federated import weighted_mean
from satfl_env.links import FixedIsl
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation import Gossip, GridLinks, Neighbours, Outcome, Ring
from satfl_env.simulation.protocols.exchanges import Exchange, one_after_another
from satfl_env.simulation.protocols.isl_graph import IslGraph
from tests.factories import decide
from tests.graphs import Graph, graphs

LIGHT_MPS = 299_792_458.0
BITS, RATE_BPS, POWER_W = 1e6, 1e5, 3.0
SATELLITES, PLANES = 12, 3
DFEDSAT = [{"kind": "ring"}, {"kind": "neighbours", "links": "across"}]
FAULTS = {"satellites": {"mtbf_s": 900.0, "mttr_s": 300.0}, "contact_loss": 0.1}
DIGITS = {
    "constellation": {
        "kind": "walker",
        "satellites": SATELLITES,
        "planes": PLANES,
        "phasing": 1,
        "altitude_m": 3e6,
        "inclination_deg": 70,
        "epoch": "2026-03-20T00:00:00",
        "gateways": ["Kourou", "Svalbard"],
    },
    "onboard.energy": {"kind": "draws", "counts_transmission": True, "mean_j": 500.0},
    "links.model_bits": BITS,
    "data.test_samples": 4,
    "training.max_epochs": 1,
}


def build(stages: list[dict[str, Any]] | None = None, **changes: Any) -> Simulation:
    """Twelve satellites in three planes, which all see their neighbours."""
    gossip = {"isl": {"kind": "fixed", "rate_bps": RATE_BPS, "transmit_power_w": POWER_W}}
    gossip |= {} if stages is None else {"stages": stages}
    return scenarios.build(
        scenarios.load("leo-multitask", **{**DIGITS, "rounds": {"episode": 4, "gossip": gossip}, **changes})
    )


def links_of(position_m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ends and lengths of those links of the grid that pass the Earth."""
    one, other = GridLinks(PLANES, 1).edges(SATELLITES)
    along = np.linspace(0.0, 1.0, 201)[:, None, None]
    height_m = np.linalg.norm(position_m[one] + along * (position_m[other] - position_m[one]), axis=-1).min(axis=0)
    clear = height_m > 6_378_137.0
    length_m = np.linalg.norm(position_m[one] - position_m[other], axis=1)
    return one[clear], other[clear], length_m[clear]


def shared(simulation: Simulation) -> torch.Tensor:
    """The federated part of the models that satellites hold."""
    return simulation._models.held[:, : simulation._models.num_shared].clone()


def graph_of(graph: Graph, seed: int = 0) -> IslGraph:
    """The graph with times of its links; links between numbers of the same parity lie in a plane."""
    one, other, number = graph
    delay_s, sending_s = np.random.default_rng(seed).uniform(0.1, 2.0, (2, len(one)))
    return IslGraph(number, one, other, one % 2 == other % 2, sending_s + delay_s, delay_s)


@settings(max_examples=40, deadline=None)
@given(graphs(), st.sampled_from(["all", "plane", "across"]), st.integers(1, 3))
def test_neighbours_cost_what_a_count_of_the_links_says(graph: Graph, links: str, times: int) -> None:
    isl = graph_of(graph)
    exchange = Neighbours(links=links, times=times).exchange(isl)
    for satellite in range(graph.num_satellites):
        own = [
            link
            for link, ends in enumerate(zip(graph.one, graph.other, strict=True))
            if satellite in ends and (links == "all" or (ends[0] % 2 == ends[1] % 2) == (links == "plane"))
        ]
        assert exchange.sends[satellite] == times * len(own)
        assert exchange.time_s[satellite] == pytest.approx(times * max((isl.model_s[link] for link in own), default=0))
        sending_s = sum(isl.model_s[link] - isl.delay_s[link] for link in own)
        assert exchange.sending_s[satellite] == pytest.approx(times * sending_s)
    assert_doubly_stochastic(exchange)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_a_ring_sends_every_model_but_one_twice_and_gives_the_mean(graph: Graph) -> None:
    isl = graph_of(graph).of_kind("plane")
    exchange = Ring().exchange(graph_of(graph))
    values = np.arange(float(graph.num_satellites))
    mean = exchange.mixing @ values
    for group in {tuple(np.flatnonzero(row)) for row in exchange.mixing > 0}:
        members = np.array(group)
        np.testing.assert_allclose(mean[members], values[members].mean())
        assert exchange.sends[members].sum() == pytest.approx(2 * (len(members) - 1))
        inside = np.isin(isl.one, members)
        slowest_s = max(isl.model_s[inside] - isl.delay_s[inside], default=0.0)
        farthest_s = max(isl.delay_s[inside], default=0.0)
        steps = 2 * (len(members) - 1)
        np.testing.assert_allclose(exchange.time_s[members], steps * (slowest_s / len(members) + farthest_s))
        np.testing.assert_allclose(exchange.sending_s[members], steps * slowest_s / len(members))
    assert_doubly_stochastic(exchange)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_two_stages_are_one_after_the_other(graph: Graph) -> None:
    isl = graph_of(graph)
    first, second = Ring().exchange(isl), Neighbours(links="across").exchange(isl)
    both = one_after_another([first, second])
    np.testing.assert_allclose(both.mixing, second.mixing @ first.mixing)
    for name in ("time_s", "sending_s", "sends"):
        np.testing.assert_array_equal(getattr(both, name), getattr(first, name) + getattr(second, name))
    assert_doubly_stochastic(both)


@settings(max_examples=40, deadline=None)
@given(graphs(), st.lists(st.booleans(), min_size=7, max_size=7), st.lists(st.integers(0, 1), min_size=7, max_size=7))
def test_who_drops_out_makes_it_cheaper_for_the_others(graph: Graph, out: list[bool], labels: list[int]) -> None:
    number = graph.num_satellites
    isl, cluster = graph_of(graph), np.array(labels[:number])
    everyone, stays = np.ones(number, dtype=bool), ~np.array(out[:number])
    for stage in (Ring(), Neighbours(), Neighbours(links="across", times=2)):
        one, other = (stage.exchange(isl.among(takes_part, cluster)) for takes_part in (everyone, stays))
        for name in ("time_s", "sending_s", "sends"):
            assert (getattr(other, name) <= getattr(one, name) * (1 + 1e-12))[stays].all()
            assert not getattr(other, name)[~stays].any()
        apart = cluster[:, None] != cluster
        assert not other.mixing[apart].any()
        np.testing.assert_array_equal(other.mixing[~stays], np.eye(number)[~stays])


def assert_doubly_stochastic(exchange: Exchange) -> None:
    for axis in (0, 1):
        np.testing.assert_allclose(exchange.mixing.sum(axis=axis), 1)


def test_time_energy_and_bits_by_hand() -> None:
    """In a plane of four a ring takes six steps with a quarter of a model, then each sends two models across."""
    simulation = build(DFEDSAT)
    state = simulation.reset(1)
    one, other, length_m = links_of(simulation.snapshot.position_m)
    in_plane = one // 4 == other // 4
    _, report = simulation.step(decide(state))
    assert report.returned.all()
    model_s = BITS / RATE_BPS
    for satellite in range(SATELLITES):
        own = (one == satellite) | (other == satellite)
        plane = in_plane & (one // 4 == satellite // 4)
        ring_s = 6 * (model_s / 4 + length_m[plane].max() / LIGHT_MPS)
        across = length_m[own & ~in_plane]
        across_s = model_s + across.max() / LIGHT_MPS if across.size else 0.0
        assert report.upload_s[satellite] == pytest.approx(ring_s + across_s)
        assert state.link_s[satellite] == pytest.approx(report.upload_s[satellite])
        assert report.transmit_energy_j[satellite] == pytest.approx(POWER_W * (1.5 + across.size) * model_s)
        assert report.upload_bits[satellite] == pytest.approx((1.5 + across.size) * BITS)
    assert (~in_plane).sum() > SATELLITES / 3
    assert report.upload_bits.sum() == pytest.approx(BITS * (PLANES * 2 * 3 + 2 * (~in_plane).sum()))
    assert not report.download_bits.any()
    assert report.duration_s == pytest.approx((report.compute_s + report.upload_s).max())
    assert (report.compute_s + report.upload_s <= state.window_s[:, 0]).all()


def test_satellites_average_what_they_have_trained() -> None:
    simulation = build()
    state = simulation.reset(2)
    decision = replace(decide(state), cluster=np.arange(SATELLITES) // 6)
    trained = simulation.trainer.train(*simulation.begin(decision).job).parameters[:, : simulation._models.num_shared]
    one, other, _ = links_of(simulation.snapshot.position_m)
    simulation.step(decision)
    together = one // 6 == other // 6
    graph = np.zeros((SATELLITES, SATELLITES))
    graph[one[together], other[together]] = graph[other[together], one[together]] = 1
    degree = graph.sum(axis=1)
    for satellite in range(SATELLITES):
        weights = graph[satellite] / (1 + np.maximum(degree[satellite], degree))
        weights[satellite] = 1 - weights.sum()
        np.testing.assert_allclose(shared(simulation)[satellite], weights @ trained.numpy(), rtol=1e-4, atol=1e-6)
    for label in range(2):
        members = slice(6 * label, 6 * label + 6)
        np.testing.assert_allclose(shared(simulation)[members].mean(0), trained[members].mean(0), rtol=1e-4, atol=1e-6)


def test_who_does_not_take_part_keeps_its_model() -> None:
    simulation = build()
    state = simulation.reset(3)
    state, _ = simulation.step(decide(state))
    before, position_m = shared(simulation), simulation.snapshot.position_m
    sits_out, spent = np.arange(SATELLITES) % 4 == 0, np.arange(SATELLITES) == 5
    decision = decide(state)
    association = np.where(sits_out, state.sits_out, decision.association)
    cpu_hz = np.where(spent, 0.0, decision.cpu_frequency)
    _, report = simulation.step(replace(decision, association=association, cpu_frequency=cpu_hz))
    np.testing.assert_array_equal(report.outcome[sits_out], Outcome.SAT_OUT)
    assert report.outcome[5] == Outcome.OUT_OF_TIME
    stays = sits_out | spent
    assert report.returned[~stays].all()
    assert torch.equal(shared(simulation)[stays], before[stays])
    assert (shared(simulation)[~stays] != before[~stays]).any(dim=1).all()
    one, other, _ = links_of(position_m)
    both = ~stays[one] & ~stays[other]
    degree = np.bincount(np.concatenate([one[both], other[both]]), minlength=SATELLITES)
    np.testing.assert_allclose(report.upload_bits, BITS * degree)


def test_models_agree_in_the_end() -> None:
    simulation = build([{"kind": "neighbours", "times": 30}])
    state = simulation.reset(1)
    simulation.step(decide(state))
    models = shared(simulation)
    np.testing.assert_allclose(models, models.mean(0).expand_as(models), atol=1e-4)


def test_noise_is_on_what_is_sent_alone() -> None:
    exact, noisy = build(), build(**{"links.upload_snr_db": 10.0})
    decision = decide(exact.reset(1))
    lone = np.where(np.arange(SATELLITES) == 0, decision.association, 2)
    noisy.reset(1)
    for simulation in (exact, noisy):
        simulation.step(replace(decision, association=lone))
    assert torch.equal(shared(exact)[0], shared(noisy)[0])
    exact.reset(1), noisy.reset(1)
    for simulation in (exact, noisy):
        simulation.step(decision)
    assert (shared(exact) != shared(noisy)).any(dim=1).all()


def test_a_twin_restored_in_mid_episode_goes_on_to_the_bit() -> None:
    simulation = build(DFEDSAT, faults=FAULTS)
    state = simulation.reset(4)
    state, _ = simulation.step(decide(state))
    saved, twin = simulation.get_state(), build(DFEDSAT, faults=FAULTS)
    restored = twin.set_state(saved)
    lost = 0
    while not simulation.finished:
        (state, one), (restored, other) = simulation.step(decide(state)), twin.step(decide(restored))
        np.testing.assert_array_equal(one.outcome, other.outcome)
        np.testing.assert_array_equal(one.test_loss, other.test_loss)
        assert torch.equal(shared(simulation), shared(twin))
        lost += one.lost.sum()
    assert lost > 0


def test_a_satellite_that_is_down_carries_no_model() -> None:
    simulation = build()
    simulation.reset(1)
    snapshot = simulation.scene.at(0.0)
    protocol = Gossip(GridLinks(PLANES, 1), FixedIsl())
    up = np.arange(SATELLITES) != 5
    contacts = protocol.contacts(replace(snapshot, satellite_up=up), BITS)
    assert 5 not in contacts.graph.ends
    assert not contacts.snapshot.visible[5].any()
    assert contacts.snapshot.visible[up].all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds.relay": {}}, "relay does not go with gossip"),
        ({"rounds.late": {}}, "late does not go with gossip"),
        ({"rounds.aggregate": "decided"}, "rounds.aggregate does not go with rounds.gossip"),
        ({"access.beams": 2}, "access.beams does not go with rounds.gossip: no gateway takes part in it"),
        ({"access.subcarriers": 2}, "access.subcarriers does not go with rounds.gossip"),
        ({"access.sharing": "decided"}, "access.sharing 'decided' does not go with rounds.gossip"),
        ({"links.positions_at": "upload"}, "links.positions_at 'upload' does not go with rounds.gossip"),
        ({"server": {"kind": "fedadam"}}, "server does not go with rounds.gossip"),
        ({"local": {"kind": "scaffold"}}, "local.kind 'scaffold' does not go with rounds.gossip"),
        ({"faults": {"gateways": {"mtbf_s": 1e4, "mttr_s": 10}}}, "faults.gateways does not go with rounds.gossip"),
        ({"rounds.gossip": {"stages": []}}, "rounds.gossip.stages"),
        ({"rounds.gossip": {"stages": [{"kind": "star"}]}}, "rounds.gossip.stages"),
        ({"rounds.gossip": {"round_s": 0}}, "rounds.gossip.round_s"),
        ({"rounds.gossip": {"round_s": 1e30}}, "or rounds.gossip.round_s. must take at most"),
    ],
)
def test_what_does_not_go_with_gossip_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenarios.load("walker-earth", **{"rounds.gossip": {}, **changes})


def test_a_rule_of_gateways_is_refused_beside_gossip_as_a_setting_or_a_part() -> None:
    for changes, parts, place in (
        ({"rounds.gossip": {}}, {}, "rounds.gossip"),
        ({}, {"protocol": Gossip(GridLinks(6, 3), FixedIsl())}, r"parts\['protocol'\]"),
    ):
        scenario = scenarios.load("walker-earth", **changes)
        with pytest.raises(ScenarioError, match=rf"^parts\['combine'\] does not go with {place}: no gateway"):
            scenarios.build(scenario, parts={"combine": weighted_mean, **parts})


def test_gossip_needs_planes() -> None:
    with pytest.raises(
        ScenarioError, match=r"rounds.relay and rounds.gossip need constellation.kind 'walker', got 'planar'"
    ):
        scenarios.load("semspacefl", **{"rounds.gossip": {}})
