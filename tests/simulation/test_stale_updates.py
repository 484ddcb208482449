"""Late updates that are not buffered as they are (FedSat, FedAsync, FedGSM, AsyncFLEO), against plain loops."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env import Decision, NetworkState, Outcome, Simulation, When, scenarios
from satfl_env.federated import weighted_mean
from satfl_env.simulation import AsyncFLEO, FedAsync, FedGSM, FedSat, LateUpdates
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols import Fetched
from satfl_env.simulation.protocols.asyncfleo import cosines, groups_of, is_superseded
from satfl_env.simulation.protocols.fedasync import Constant, Hinge, Polynomial, mixed_shares
from satfl_env.simulation.protocols.next_contact import NextContact
from tests.factories import decide as longest_window
from tests.factories import make_decision

SATELLITES, SIZE = 5, 4
SAMPLES = np.array([10, 20, 30, 25, 15])
KINDS = [{"kind": "fedasync"}, {"kind": "fedgsm"}, {"kind": "asyncfleo", "similarity": -1}, {"kind": "fedsat"}]
each_kind = pytest.mark.parametrize("late", KINDS, ids=lambda late: late["kind"])


def build(late: Mapping[str, Any], **changes: object) -> Simulation:
    quick = {"training.max_epochs": 2, "rounds.cloud_every": 4, "data.test_samples": 8, "rounds.episode": 12}
    return scenarios.build(scenarios.load("leo-multitask", **{**quick, "rounds.late": late, **changes}))


def decide(state: NetworkState) -> Decision:
    return longest_window(state, cpu_frequency=np.full(state.num_satellites, 2.5e8))


class Ground:
    """One gateway and five satellites that hold what they have fetched; a protocol plays rounds of given updates."""

    def __init__(self, protocol: NextContact) -> None:
        self.protocol, self.version = protocol, np.zeros(SATELLITES, np.int64)
        first = torch.arange(float(SIZE), dtype=torch.float64).repeat(SATELLITES, 1)
        self.store = ModelStore(first.clone(), SIZE, 1)
        self.store.gateway_models = {(0, 0): first[0].clone()}

    def play(self, updates: dict[int, np.ndarray], **changes: Any):
        start, returned = self.store.held.clone(), np.isin(np.arange(SATELLITES), list(updates))
        trained = start.clone()
        for satellite, update in updates.items():
            trained[satellite] += torch.from_numpy(update)
        arrivals = Arrivals(start, trained, trained, returned, np.zeros((SATELLITES, 1), np.int64), SAMPLES)
        fetched = Fetched(np.ones(SATELLITES), self.version, np.ones(SATELLITES))
        decision = make_decision(np.zeros(SATELLITES, np.int64), 1, **changes)
        aggregation = self.protocol.aggregate(self.store, decision, arrivals, fetched, weighted_mean)
        self.store.distribute(decision, returned)
        self.version = np.where(returned, self.store.version, self.version)
        return aggregation

    @property
    def model(self) -> np.ndarray:
        return self.store.gateway_models[0, 0].numpy()


def random_rounds(seed: int) -> list[dict[int, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        {it: rng.normal(size=SIZE) for it in np.flatnonzero(rng.random(SATELLITES) < 0.5).tolist()} for _ in range(6)
    ]


@settings(deadline=None)
@given(staleness=st.integers(0, 10**6), power=st.floats(0, 3), slope=st.floats(1e-3, 1e3), free=st.floats(0, 1e3))
def test_the_functions_of_staleness_are_those_of_the_paper(staleness: int, power: float, slope: float, free: float):
    hinge = 1.0 if staleness <= free else 1.0 / (slope * (staleness - free) + 1.0)
    found = [
        float(it(np.array(staleness))) for it in (Constant(), Polynomial(power=power), Hinge(slope=slope, free=free))
    ]
    assert found == pytest.approx([1.0, (staleness + 1.0) ** -power, hinge])


@settings(deadline=None)
@given(alpha=st.lists(st.floats(0, 1), max_size=8))
def test_the_shares_of_mixed_models_and_what_stays_of_the_old_one_sum_to_1(alpha: list[float]):
    shares = mixed_shares(np.array(alpha))
    assert (shares >= 0).all()
    assert shares.sum() + np.prod(1.0 - np.array(alpha)) == pytest.approx(1.0)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_fedasync_mixes_one_model_after_the_other(seed: int):
    """Algorithm 1 in a plain loop, with weights that are not equal, and staleness from a log of changes."""
    ground = Ground(FedAsync(alpha=0.7, staleness=Hinge(slope=0.5, free=1)))
    raw = np.random.default_rng(seed).uniform(0.1, 1.0, SATELLITES)
    model, held, fetched_at, changes = ground.model.copy(), {}, [0] * SATELLITES, 0
    for updates in random_rounds(seed):
        aggregation = ground.play(updates, weights=raw)
        arrived = [held.get(one, np.arange(float(SIZE))) + update for one, update in updates.items()]
        for one, theirs in zip(updates, arrived, strict=True):
            stale = changes - fetched_at[one]
            assert aggregation.staleness[one] == stale
            weight = raw[one] / np.mean([raw[other] for other in updates])
            alpha = min(1.0, 0.7 * weight / (0.5 * max(stale - 1, 0) + 1))
            model = (1 - alpha) * model + alpha * theirs
        changes += bool(updates)
        for one in updates:
            held[one], fetched_at[one] = model, changes
        np.testing.assert_allclose(ground.model, model, rtol=1e-12, atol=1e-12)


def test_fedasync_mixes_in_what_has_waited_when_its_gateway_aggregates():
    ground, one, two = Ground(FedAsync(alpha=0.5)), np.ones(SIZE), np.full(SIZE, 3.0)
    before = ground.model.copy()
    ground.play({1: one}, aggregate=np.array([When.WAIT, When.SCHEDULED]))
    np.testing.assert_array_equal(ground.model, before)
    ground.play({0: two}, aggregate=np.array([When.NOW, When.SCHEDULED]))
    np.testing.assert_allclose(ground.model, before + 0.5 * (0.5 * one) + 0.5 * two)
    assert not ground.store.waiting


def test_fedsat_moves_by_what_a_model_has_changed_since_it_was_delivered_last():
    """By hand, shares 0.1 and 0.2: satellite 0 delivers +1, satellite 1 +4, then 0 again, 2 beyond what it fetched."""
    ground = Ground(FedSat())
    first, one = ground.model.copy(), np.ones(SIZE)
    ground.play({0: one})
    np.testing.assert_allclose(ground.model, first + 0.1 * one)
    ground.play({1: 4 * one})
    np.testing.assert_allclose(ground.model, first + (0.1 + 0.2 * 4) * one)
    # It had fetched first + 0.1 and delivers first + 2.1, where its model before was first + 1.
    ground.play({0: 2 * one})
    np.testing.assert_allclose(ground.model, first + (0.1 * 2.1 + 0.2 * 4) * one)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), patience=st.integers(1, 3))
def test_the_model_of_fedsat_is_the_mean_of_what_satellites_have_delivered_last(seed: int, patience: int):
    """Whatever has waited in between, and whatever the decided weights are."""
    ground, weights = Ground(FedSat()), np.random.default_rng(seed).uniform(0, 1, SATELLITES)
    delivered = np.tile(ground.model, (SATELLITES, 1))
    for turn, updates in enumerate(random_rounds(seed)):
        held = ground.store.held.numpy().copy()
        now = (turn + 1) % patience == 0
        ground.play(updates, weights=weights, aggregate=np.array([When.NOW if now else When.WAIT, When.SCHEDULED]))
        for satellite, update in updates.items():
            delivered[satellite] = held[satellite] + update
        if now:
            np.testing.assert_allclose(ground.model, SAMPLES @ delivered / 100, atol=1e-12)


def test_the_ground_stations_of_fedsat_are_one_server():
    """Two gateways receive one model each: the first one moves by both, and the cloud hands its model to the other."""
    store = ModelStore(torch.zeros(2, 1), 1, 2)
    trained = torch.tensor([[1.0], [2.0]])
    arrivals = Arrivals(
        store.held.clone(), trained, trained, np.ones(2, bool), np.zeros((2, 2), np.int64), np.array([30, 10])
    )
    fetched = Fetched(np.ones(2), np.zeros(2, np.int64), np.ones(2))
    decision = make_decision(np.array([0, 1]), 2)
    aggregation = FedSat().aggregate(store, decision, arrivals, fetched, weighted_mean)
    np.testing.assert_array_equal(aggregation.intake.weights, [1, 1])
    assert list(store.gateway_models) == [(0, 0)]
    used, equal = store.merge()
    assert used[0].tolist() == [1, 0]
    assert not equal.any()
    for gateway in (0, 1):
        assert store.gateway_models[gateway, 0].item() == pytest.approx(0.75 * 1 + 0.25 * 2)


def test_fedsat_reports_shares_of_samples_as_weights():
    store, weights = ModelStore(torch.zeros(2, 1), 1, 1), np.array([0.9, 0.1])
    trained = torch.tensor([[1.0], [2.0]])
    arrivals = Arrivals(
        store.held.clone(), trained, trained, np.ones(2, bool), np.zeros((2, 2), np.int64), np.array([30, 10])
    )
    fetched = Fetched(np.ones(2), np.zeros(2, np.int64), np.ones(2))
    decision = replace(make_decision(np.zeros(2, np.int64), 1), weights=weights)
    aggregation = FedSat().aggregate(store, decision, arrivals, fetched, weighted_mean)
    np.testing.assert_allclose(aggregation.intake.weights, [0.75, 0.25])


@pytest.mark.parametrize("power", [1, 2])
def test_fedgsm_compensates_by_hand(power: int):
    """What has passed since the fetch, 0.5, times |u|^p: u = 0.2 - 1 x 0.2^p x 0.5; a change stays within |u|."""
    protocol = FedGSM(staleness_power=0, compensation=1.0, hessian_power=power)
    ground = Ground(protocol)
    ground.play({0: np.full(SIZE, 0.5)})
    before = ground.model.copy()
    ground.play({1: np.array([0.2, -0.2, 0.0, 4.0])})
    corrected = [0.2 - 0.2**power * 0.5, -0.2 - 0.2**power * 0.5, 0.0, 4.0 - 4.0 * min(1.0, 4.0 ** (power - 1) * 0.5)]
    np.testing.assert_allclose(ground.model - before, corrected, atol=1e-12)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), strength=st.floats(0, 1e6), power=st.sampled_from([1, 2]))
def test_compensation_never_exceeds_the_update_and_leaves_fresh_ones_alone(seed: int, strength: float, power: int):
    protocol = FedGSM(compensation=strength, hessian_power=power)
    update, passed = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 9)))
    assert ((protocol.compensated(update, passed) - update).abs() <= update.abs() * (1 + 1e-12)).all()
    assert torch.equal(protocol.compensated(update, torch.zeros_like(passed)), update)


def test_compensation_is_exact_for_a_gradient_step_on_a_quadratic_whose_curvature_it_guesses_right():
    """f = h x^2 / 2 with h = |g|: a step from x0 becomes the step from x."""
    start, present, rate = torch.tensor([1.0, -1.0]), torch.tensor([0.8, -1.3]), 0.1
    curvature = torch.tensor([2.0, 3.0])
    # |g| = h |x0| = h here, so that lambda 1 gives h itself.
    update = -rate * curvature * start
    compensated = FedGSM(compensation=1.0).compensated(update, present - start)
    torch.testing.assert_close(compensated, -rate * curvature * present)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), similarity=st.floats(-1, 1), count=st.integers(0, 9))
def test_groups_are_chains_of_similar_updates(seed: int, similarity: float, count: int):
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    alike = cosines(vectors) >= similarity
    group = groups_of(alike)
    reached = np.linalg.matrix_power(alike.astype(float), max(count, 1)) > 0
    np.testing.assert_array_equal(group[:, None] == group, reached)
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(cosines(vectors), vectors @ vectors.T / np.outer(lengths, lengths), atol=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_every_group_keeps_an_update_and_its_fresh_ones(members: list[tuple[int, bool]]):
    group, fresh = (np.array([it[place] for it in members], dtype=kind) for place, kind in ((0, int), (1, bool)))
    aside = is_superseded(group, fresh)
    assert not (aside & fresh).any()
    assert set(group[~aside]) == set(group)
    assert not any(aside[group == it].any() and not fresh[group == it].any() for it in set(group))


def test_asyncfleo_sets_a_stale_update_aside_for_a_fresh_one_like_it():
    ground = Ground(AsyncFLEO(similarity=0.9, staleness_power=1))
    along, across = np.array([1.0, 0, 0, 0]), np.array([0, 1.0, 0, 0])
    ground.play({0: along})
    before = ground.model.copy()
    # 0 is fresh, 1 stale and like it, 2 stale and unlike any.
    aggregation = ground.play({0: along, 1: 2 * along, 2: across})
    np.testing.assert_array_equal(aggregation.staleness, [0, 1, 1, 0, 0])
    np.testing.assert_array_equal(aggregation.intake.weights, [0.5, 0, 0.5, 0, 0])
    np.testing.assert_allclose(ground.model - before, along / 2 + across / 2 / 2)


def test_updates_of_two_clusters_form_no_group():
    ground, along = Ground(AsyncFLEO(similarity=0.9)), np.array([1.0, 0, 0, 0])
    ground.play({0: along})
    aggregation = ground.play({0: along, 1: along}, cluster=np.array([0, 1, 0, 0, 0]))
    np.testing.assert_array_equal(aggregation.intake.weights, [1, 1, 0, 0, 0])


def test_asyncfleo_with_all_fresh_is_late_updates():
    ours, theirs = Ground(AsyncFLEO(fresh=100)), Ground(LateUpdates())
    for updates in random_rounds(3):
        ours.play(updates)
        theirs.play(updates)
        np.testing.assert_array_equal(ours.model, theirs.model)


def test_fedgsm_without_compensation_is_late_updates_to_rounding():
    ours, theirs = Ground(FedGSM(compensation=0)), Ground(LateUpdates())
    for updates in random_rounds(4):
        ours.play(updates)
        theirs.play(updates)
        np.testing.assert_allclose(ours.model, theirs.model, atol=1e-14)


@each_kind
def test_an_episode_counts_every_update_once_and_can_be_taken_up_in_mid_flight(late: dict[str, Any]):
    """Staleness against a log of events; weights sum to 1 or, where all was set aside, to 0; twins to the bit."""
    simulation, other = build(late), build(late)
    state = simulation.reset(0)
    fetched_at, changes, returned = np.zeros(10, np.int64), 0, 0
    for index in range(8):
        if index == 5:
            other.set_state(copy.deepcopy(simulation.get_state()))
        decision = decide(state)
        state, report = simulation.step(decision)
        came = report.returned
        np.testing.assert_array_equal(report.staleness, np.where(came, changes - fetched_at, 0))
        for gateway in set(decision.association[came]):
            total = report.weights[came & (decision.association == gateway)].sum()
            assert total == pytest.approx(1.0) or (total == 0 and late["kind"] == "asyncfleo")
        assert not report.weights[~came].any()
        changes += report.weights.any()
        fetched_at[came | (report.outcome == Outcome.FETCHED)] = changes
        returned += came.sum()
        if index >= 5:
            twin = other.step(decide(other.state))[1]
            np.testing.assert_array_equal(twin.test_loss, report.test_loss)
            np.testing.assert_array_equal(twin.staleness, report.staleness)
    assert returned > 5
    assert simulation.get_state()["models"]["waiting"] == {}


def test_a_satellite_whose_update_is_set_aside_keeps_its_own_decoder():
    """All fetch together; three hand over, and again, with fresh updates, when the stale ones of the others come."""
    simulation = build({"kind": "asyncfleo", "similarity": -1, "fresh": 0}, **{"onboard.cycles_per_sample": 1e8})
    state, report = simulation.step(decide(simulation.reset(0)))
    fetched = np.flatnonzero(report.outcome == Outcome.FETCHED)
    first, others = fetched[:3], fetched[3:]
    for turn in (first, fetched):
        decision = decide(state)
        association = np.where(np.isin(np.arange(10), turn), decision.association, state.sits_out)
        before = simulation.get_state()["models"]["held"]
        state, report = simulation.step(replace(decision, association=association))
    came = others[report.returned[others]]
    assert came.size
    assert not report.weights[came].any()
    models = simulation.get_state()["models"]
    after, shared = models["held"], next(iter(models["gateway_models"].values())).numel()
    assert (after[came, shared:] != before[came, shared:]).any(dim=1).all()
