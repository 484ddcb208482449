from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from satfl_env import SatFLEnv, SatFLVectorEnv, Simulation, scenarios
from satfl_env.federated import FedAdam, weighted_mean
from satfl_env.links import FixedIsl
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols import Fetched, OnboardAggregation, OneContact, PlaneLinks
from satfl_env.simulation.server_store import ServerStore
from tests.factories import decide, make_decision

SATELLITES, GATEWAYS, SHARED = 12, 2, 5
ON_BOARD = OnboardAggregation(PlaneLinks(3), FixedIsl())
NOTHING = Fetched(np.zeros(SATELLITES), np.zeros(SATELLITES, np.int64), np.zeros(SATELLITES))
# Nine satellites in each of three planes, which train handwritten digits.
DIGITS = {
    "constellation.satellites": 27,
    "constellation.planes": 3,
    "constellation.phasing": 1,
    "constellation.altitude_m": 600e3,
    "constellation.gateways": ["Kourou", "Svalbard", "Awarua"],
    "constellation.start_within_s": 0.0,
    "onboard.energy": {"kind": "draws", "counts_transmission": True},
    "data.partition.samples": [5, 6],
    "data.test_samples": 4,
    "training.max_epochs": 1,
    "rounds": {"episode": 4, "relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}}},
}


def build(**relay: Any) -> Simulation:
    """The scenario with these settings of relays."""
    rounds = {"episode": 4, "relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}, **relay}}
    return scenarios.build(scenarios.load("starlink-shell", **{**DIGITS, "rounds": rounds}))


def arrivals(rng: np.random.Generator, start: torch.Tensor) -> Arrivals:
    trained = start + torch.from_numpy(rng.normal(size=start.shape))
    sender = rng.integers(0, 4, (SATELLITES, GATEWAYS))
    return Arrivals(
        start, trained, trained[:, :SHARED].clone(), rng.random(SATELLITES) < 0.8, sender, np.ones(SATELLITES, np.int64)
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make_store", [ModelStore, partial(ServerStore, optimiser=FedAdam())], ids=["mean", "fedadam"])
def test_what_sinks_combine_is_what_gateways_would_have(make_store: Callable[..., ModelStore], seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = torch.from_numpy(rng.normal(size=(SATELLITES, 7)))
    ground, pooled = (make_store(first.clone(), SHARED, GATEWAYS) for _ in range(2))
    for _ in range(3):
        decision = make_decision(
            rng.integers(0, GATEWAYS, SATELLITES),
            GATEWAYS,
            cluster=rng.integers(0, 2, SATELLITES),
            weights=rng.uniform(0, 1, SATELLITES) * (rng.random(SATELLITES) < 0.6),
            gateway_weights=rng.uniform(0, 1, GATEWAYS),
        )
        arrived = arrivals(rng, ground.start_parameters(decision, np.ones(SATELLITES, dtype=bool)))
        one = OneContact().aggregate(ground, decision, arrived, NOTHING, weighted_mean)
        other = ON_BOARD.aggregate(pooled, decision, arrived, NOTHING, weighted_mean)
        np.testing.assert_array_equal(one.intake.weights, other.intake.weights)
        assert ground.gateway_models.keys() == pooled.gateway_models.keys()
        for group, model in ground.gateway_models.items():
            np.testing.assert_allclose(pooled.gateway_models[group], model, rtol=1e-10, atol=1e-10)
        for name in ("held", "cloud_weights", "version"):
            np.testing.assert_allclose(getattr(pooled, name), getattr(ground, name))


def test_a_rule_is_used_by_sinks_and_then_by_gateways() -> None:
    """Three satellites through one sink and one through another: the middle of the first three, then of the two."""

    def middle(updates: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return updates.quantile(0.5, dim=0)

    store = ModelStore(torch.zeros(4, 2, dtype=torch.float64), 2, 1)
    trained = torch.tensor([[1.0, 1.0], [2.0, 2.0], [9.0, 0.0], [6.0, 8.0]], dtype=torch.float64)
    sender = np.array([[1], [1], [1], [3]])
    arrived = Arrivals(store.held.clone(), trained, trained.clone(), np.ones(4, bool), sender, np.ones(4, np.int64))
    ON_BOARD.aggregate(store, make_decision(np.zeros(4, np.int64), 1), arrived, NOTHING, middle)
    np.testing.assert_allclose(store.gateway_models[0, 0], [4.0, 4.5])


def test_without_updates_sinks_send_nothing() -> None:
    store = ModelStore(torch.zeros(SATELLITES, SHARED), SHARED, GATEWAYS)
    arrived = arrivals(np.random.default_rng(0), store.held.double())
    arrived = replace(arrived, returned=np.zeros(SATELLITES, dtype=bool))
    ON_BOARD.aggregate(store, make_decision(np.zeros(SATELLITES, np.int64)), arrived, NOTHING, weighted_mean)
    assert not store.gateway_models
    assert store.version == 0


def test_where_times_do_not_bind_a_federation_learns_the_same() -> None:
    ground, pooled = build(), build(combine_on_board=True)
    states = [simulation.reset(3) for simulation in (ground, pooled)]
    returned = 0
    for _ in range(3):
        decision = decide(states[0])
        (state, one), (twin, other) = (simulation.step(decision) for simulation in (ground, pooled))
        np.testing.assert_array_equal(one.outcome, other.outcome)
        np.testing.assert_array_equal(one.epochs, other.epochs)
        np.testing.assert_allclose(one.test_loss, other.test_loss, rtol=1e-4)
        models = pooled.get_state()["models"]["gateway_models"]
        for group, model in ground.get_state()["models"]["gateway_models"].items():
            np.testing.assert_allclose(models[group], model, rtol=1e-4, atol=1e-5)
        assert other.upload_s.sum() < one.upload_s.sum()
        assert other.transmit_energy_j.sum() < one.transmit_energy_j.sum()
        returned += one.returned.sum()
        # The rounds are of the same length, so that both go on from the same geometry.
        assert state.time_s == twin.time_s
        states = [state, twin]
    assert returned > 20


@pytest.mark.parametrize("power_w", [None, 3.0])
def test_time_band_and_energy_by_hand(power_w: float | None) -> None:
    simulation = build(combine_on_board=True, isl={"kind": "fixed", "rate_bps": 1e6, "transmit_power_w": power_w})
    state = simulation.reset(1)
    decision = decide(state)
    decision = replace(decision, cluster=np.arange(27) % 2)
    contacts, links = simulation._view.contacts, simulation.ingredients.links
    direct = simulation.scene.at(0.0)
    _, report = simulation.step(decision)
    sent = np.flatnonzero(report.returned)
    key = [(contacts.sender[s, decision.association[s]], decision.association[s], decision.cluster[s]) for s in sent]
    leaders = dict(reversed([*zip(key, sent, strict=True)]))
    assert 1 < len(leaders) < len(sent)

    # Only one satellite of each pool sends, from where its sink is.
    sinks = np.array([contacts.sender[s, g] for s, g in enumerate(np.minimum(decision.association, 2))])
    association = np.full(27, 3)
    association[[*leaders.values()]] = decision.association[[*leaders.values()]]
    there = replace(direct, position_m=direct.position_m[sinks], distance_m=direct.distance_m[sinks])
    rate_bps = links.associated_rate_bps(there, association)
    bits = 32.0 * simulation.get_state()["models"]["gateway_models"][decision.association[sent[0]], 0].numel()
    energy_j, shorter = 0.0, 0
    for pool, satellite in zip(key, sent, strict=True):
        gateway = decision.association[satellite]
        link_s = bits / rate_bps[leaders[pool]] + there.distance_m[satellite, gateway] / 299_792_458.0
        carry_s = contacts.carry_s[satellite, gateway]
        assert report.upload_s[satellite] == pytest.approx(link_s + carry_s)
        assert report.download_s[satellite] == pytest.approx(link_s + carry_s)
        # Around the ring of nine, which sees neighbours alone, to the next one of the pool.
        ring, place, sink = np.arange(9) + satellite // 9 * 9, satellite % 9, pool[0] % 9
        step = 1 if (sink - place) % 9 < 5 else -1
        onward = [ring[(place + step * hop) % 9] for hop in range(1, step * (sink - place) % 9 + 1)]
        after = next((it for it in onward if it in sent and key[sent.tolist().index(it)] == pool), pool[0])
        hops_s = carry_s - (contacts.carry_s[after, gateway] if after != satellite else 0.0)
        shorter += hops_s < carry_s
        spent_j = 10.0 * link_s / key.count(pool) + (10.0 if power_w is None else power_w) * hops_s
        assert report.transmit_energy_j[satellite] == pytest.approx(spent_j)
        energy_j += 10.0 * link_s / key.count(pool)
        # Each is back at the sink in time for the sink to send what it has combined.
        busy_s = report.download_s[satellite] + report.compute_s[satellite] + report.upload_s[satellite]
        assert busy_s <= contacts.snapshot.window_s[satellite, gateway] * (1 + 1e-9)
    assert shorter
    assert energy_j == pytest.approx(
        sum(10.0 * (report.upload_s[s] - contacts.carry_s[s, decision.association[s]]) for s in leaders.values())
    )


def test_combining_on_board_does_not_go_with_late_updates() -> None:
    with pytest.raises(ScenarioError, match=r"rounds\.relay\.combine_on_board does not go with late: gateways"):
        scenarios.load("walker-earth", **{"rounds.relay": {"combine_on_board": True}, "rounds.late": {}})


OTHERS = {
    "constellation.gateways": [
        {"name": "Alps", "latitude_deg": 46, "longitude_deg": 9, "altitude_m": 20e3, "min_elevation_deg": -4},
        {"kind": "geo", "name": "Relay", "longitude_deg": 9},
    ],
    "constellation.altitude_m": 900e3,
    "training.engine": "none",
    "rounds": {"episode": 4, "relay": {"topology": "grid", "combine_on_board": True, "isl": {"kind": "budget"}}},
    "faults": {"contact_loss": 0.1},
}


def test_grids_sinks_and_aggregators_above_the_ground_go_together() -> None:
    settings = {**DIGITS, **OTHERS}
    simulation = scenarios.build(scenarios.load("starlink-shell", **settings))
    state, returned = simulation.reset(2), 0
    state, _ = simulation.step(decide(state))
    saved, twin = simulation.get_state(), copy.deepcopy(simulation)
    reports = []
    while not simulation.finished:
        state, report = simulation.step(decide(state))
        assert np.isfinite(report.transmit_energy_j).all()
        returned += report.returned.sum()
        reports.append(report)
    state = twin.set_state(saved)
    for report in reports:
        state, again = twin.step(decide(state))
        np.testing.assert_array_equal(again.outcome, report.outcome)
        np.testing.assert_array_equal(again.upload_s, report.upload_s)
    assert returned > 20

    env = SatFLEnv("starlink-shell", settings, render_mode="rgb_array")
    together = SatFLVectorEnv(2, scenario="starlink-shell", overrides=settings)
    env.reset(seed=2)
    together.reset(seed=[2, 3])
    env.action_space.seed(1)
    action = env.action_space.sample()
    bare = env.render()
    observation, *_ = env.step(action)
    assert (env.render() != bare).any()
    batch, *_ = together.step({key: np.stack([value, value]) for key, value in action.items()})
    for key, value in observation.items():
        np.testing.assert_array_equal(batch[key][0], value)
