"""Gateways that move their models by a server optimiser, against plain loops in double precision."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from satfl_env.federated import FedAdam, FedAvg, FedAvgM, ServerOptimiser, coordinate_median, server_step, weighted_mean
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.server_store import ServerStore
from tests.factories import make_decision

SATELLITES, GATEWAYS, CLUSTERS, SIZE, ROUNDS = 6, 2, 2, 4, 7
SENDER = np.zeros((SATELLITES, GATEWAYS), np.int64)
SAMPLES = np.ones(SATELLITES, np.int64)
OPTIMISERS = [FedAvg(server_rate=0.5), FedAvgM(server_momentum=0.6), FedAdam(server_rate=0.2, tau=0.05)]
each = pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda one: one.kind)


def make_store(optimiser: ServerOptimiser) -> ServerStore:
    first = torch.arange(float(SIZE), dtype=torch.float64).repeat(SATELLITES, 1)
    return ServerStore(first, SIZE, GATEWAYS, optimiser)


def play_round(store: ModelStore, rng: np.random.Generator, *, merges: bool = False, combine=weighted_mean):
    """A round of random decisions and updates; returns the decision, the start, the updates and the merge's weights."""
    decision = make_decision(
        rng.integers(0, GATEWAYS + 1, SATELLITES),
        GATEWAYS,
        cluster=rng.integers(0, CLUSTERS, SATELLITES),
        weights=rng.random(SATELLITES),
        gateway_weights=rng.random(GATEWAYS),
    )
    start = store.start_parameters(decision, decision.associated)
    updates = torch.from_numpy(rng.normal(size=(SATELLITES, SIZE)))
    trained = start + updates
    arrivals = Arrivals(start, trained, trained, decision.associated, SENDER, SAMPLES)
    store.change(store.take_in(decision, arrivals), arrivals, combine)
    used = store.merge()[0] if merges else None
    store.distribute(decision, decision.associated)
    return decision, start.numpy(), updates.numpy(), used


@each
def test_models_and_moments_of_gateways_equal_plain_loops(optimiser):
    store, rng = make_store(optimiser), np.random.default_rng(0)
    models: dict[tuple[int, int], np.ndarray] = {}
    moments: dict[tuple[int, int], np.ndarray] = {}
    for index in range(ROUNDS):
        merges = index % 3 == 2
        decision, start, updates, used = play_round(store, rng, merges=merges)
        for gateway in range(GATEWAYS):
            for label in range(CLUSTERS):
                group, key = [], (gateway, label)
                for one in range(SATELLITES):
                    if (decision.association[one], decision.cluster[one]) == key:
                        group.append(one)
                if not group:
                    continue
                total = sum(decision.weights[one] for one in group)
                delta = sum(decision.weights[one] / total * updates[one] for one in group)
                model = models.get(key, sum(decision.weights[one] / total * start[one] for one in group))
                first = np.array(optimiser.first_moments)[:, None].repeat(SIZE, axis=1)
                moved, kept = by_hand(optimiser, model, delta, moments.get(key, first))
                models[key], moments[key] = moved, kept
        if merges:
            for label in range(CLUSTERS):
                weights = used[label]
                if weights.any():
                    holders = np.flatnonzero(weights)
                    merged = sum(weights[g] * models[g, label] for g in holders)
                    kept = sum(weights[g] * moments[g, label] for g in holders)
                    for gateway in range(GATEWAYS):
                        models[gateway, label], moments[gateway, label] = merged, kept
        assert store.gateway_models.keys() == models.keys()
        for key, model in store.gateway_models.items():
            np.testing.assert_allclose(model.numpy(), models[key], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(store.get_state()["moments"][key].numpy(), moments[key], rtol=1e-12, atol=1e-12)


def by_hand(optimiser, model, delta, moments):
    if isinstance(optimiser, FedAvg):
        return model + optimiser.server_rate * delta, moments
    if isinstance(optimiser, FedAvgM):
        momentum = optimiser.server_momentum * moments[0] + delta
        return model + optimiser.server_rate * momentum, np.array([momentum])
    m = optimiser.beta_1 * moments[0] + (1 - optimiser.beta_1) * delta
    v = optimiser.beta_2 * moments[1] + (1 - optimiser.beta_2) * delta**2
    return model + optimiser.server_rate * m / (np.sqrt(v) + optimiser.tau), np.array([m, v])


@pytest.mark.parametrize("combine", [weighted_mean, coordinate_median])
def test_federated_averaging_is_what_gateways_do_without_an_optimiser(combine):
    first = torch.arange(float(SIZE), dtype=torch.float64).repeat(SATELLITES, 1)
    plain, moved = ModelStore(first.clone(), SIZE, GATEWAYS), ServerStore(first.clone(), SIZE, GATEWAYS, FedAvg())
    for store in (plain, moved):
        rng = np.random.default_rng(1)
        for index in range(ROUNDS):
            play_round(store, rng, merges=index % 2 == 1, combine=combine)
    torch.testing.assert_close(moved.held, plain.held, rtol=0, atol=1e-12)


@each
def test_late_updates_are_a_step_along_what_they_combine_to(optimiser):
    store, moments = make_store(optimiser), np.array(optimiser.first_moments)[:, None].repeat(SIZE, axis=1)
    model = store.held[0].numpy().copy()
    for index in range(3):
        updates = torch.from_numpy(np.random.default_rng(index).normal(size=(2, SIZE)))
        decision, returned = make_decision(np.zeros(SATELLITES, np.int64)), np.arange(SATELLITES) < 2
        arrivals = Arrivals(store.held, store.held, store.held, returned, SENDER, SAMPLES)
        store.wait(store.take_in(decision, arrivals), updates, np.zeros(len(updates), dtype=np.int64))
        store.move((0, 0), weighted_mean, 0.5)
        model, moments = by_hand(optimiser, model, 0.5 * updates.numpy().mean(axis=0), moments)
        np.testing.assert_allclose(store.gateway_models[0, 0].numpy(), model, rtol=1e-12)


@each
def test_a_state_in_the_middle_goes_on_as_it_would_have(optimiser):
    store, rng = make_store(optimiser), np.random.default_rng(2)
    for index in range(4):
        play_round(store, rng, merges=index == 2)
    other = make_store(optimiser)
    other.set_state(copy.deepcopy(store.get_state()))
    for one in (store, other):
        again = np.random.default_rng(3)
        for index in range(3):
            play_round(one, again, merges=index == 1)
    assert torch.equal(other.held, store.held)


def test_a_state_of_another_kind_is_refused():
    store, adam = make_store(FedAvgM()), make_store(FedAdam())
    play_round(adam, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\['moments'\]\[\(.*\)\] has shape \(2, 4\); expected \(1, 4\)"):
        store.set_state(adam.get_state())
    plain = ModelStore(store.held, SIZE, GATEWAYS)
    with pytest.raises(ValueError, match=r"has the entries .*'moments'.*; expected "):
        plain.set_state(store.get_state())
    with pytest.raises(ValueError, match=r"; expected .*'moments'"):
        store.set_state(plain.get_state())


class Rude:
    """A server that writes to what it is given, in double precision, and learns its own step size."""

    first_moments = (0.0,)

    def __init__(self):
        self.rate = torch.ones(1, requires_grad=True)

    def step(self, models, updates, moments):
        models += updates
        moments += 1
        return models.double() * self.rate, moments.double()


def test_what_an_optimiser_writes_to_is_no_model_that_anyone_holds():
    models, updates, moments = torch.zeros(2, 3), torch.ones(2, 3), torch.zeros(1, 2, 3)
    moved, new = server_step(Rude(), models, updates, moments)
    assert moved.dtype == new.dtype == torch.float32
    assert (moved == 1).all()
    assert (new == 1).all()
    assert (models == 0).all()
    assert not moved.requires_grad


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (lambda models, updates, moments: (models.numpy(), moments), r"ndarray and \(1, 2, 3\)"),
        (lambda models, updates, moments: models, r"\(3,\) and \(3,\)"),
        (lambda models, updates, moments: (models[0], moments), r"\(3,\) and \(1, 2, 3\)"),
    ],
)
def test_what_is_no_step_is_told(step, found):
    optimiser = SimpleNamespace(first_moments=(0.0,), step=step)
    with pytest.raises(ValueError, match=rf"must give tensors of moved models \(2, 3\) and moments .* got {found}$"):
        server_step(optimiser, torch.zeros(2, 3), torch.ones(2, 3), torch.zeros(1, 2, 3))
