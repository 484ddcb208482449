from __future__ import annotations

import numpy as np
import pytest
import torch

from satfl_env import Decision
from satfl_env.federated import weighted_mean
from satfl_env.simulation.models import Arrivals, ModelStore, distinct
from tests.factories import make_decision

SATELLITES, GATEWAYS, SHARED, TOTAL = 7, 3, 5, 8


def make_store(seed: int = 0) -> ModelStore:
    held = torch.randn(SATELLITES, TOTAL, generator=torch.Generator().manual_seed(seed))
    return ModelStore(held, SHARED, GATEWAYS)


def place(association: np.ndarray, cluster: np.ndarray, **changes: np.ndarray) -> Decision:
    return make_decision(association, GATEWAYS, cluster=cluster, **changes)


def aggregate(
    store: ModelStore, trained: torch.Tensor, decision: Decision, returned: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    sender, samples = np.zeros((SATELLITES, GATEWAYS), np.int64), np.ones(SATELLITES, np.int64)
    arrivals = Arrivals(store.held, trained, trained[:, :SHARED], returned, sender, samples)
    intake = store.take_in(decision, arrivals)
    store.change(intake, arrivals, weighted_mean)
    return intake.weights, intake.equal_weights


@pytest.mark.parametrize("seed", range(5))
def test_a_round_of_aggregation_equals_plain_loops(seed):
    rng = np.random.default_rng(seed)
    store = make_store(seed)
    before = store.held.clone()
    association = rng.integers(0, GATEWAYS, SATELLITES)
    cluster = rng.integers(0, 2, SATELLITES)
    returned = rng.random(SATELLITES) < 0.8
    raw, raw_gateway = rng.random(SATELLITES), rng.random(GATEWAYS)
    trained = torch.randn(SATELLITES, TOTAL, generator=torch.Generator().manual_seed(seed + 100))

    decision = place(association, cluster, weights=raw, gateway_weights=raw_gateway)
    used, made_equal = aggregate(store, trained, decision, returned)
    gateway_used, merge_equal = store.merge()
    store.distribute(decision, returned)

    models: dict[tuple[int, int], torch.Tensor] = {}
    for gateway in range(GATEWAYS):
        for label in range(SATELLITES):
            group = [s for s in range(SATELLITES) if returned[s] and (association[s], cluster[s]) == (gateway, label)]
            total = sum(raw[s] for s in group)
            for s in group:
                assert used[s] == pytest.approx(raw[s] / total)
            if group:
                models[gateway, label] = sum(raw[s] / total * trained[s, :SHARED] for s in group)
    for label in {label for _, label in models}:
        holders = [gateway for gateway in range(GATEWAYS) if (gateway, label) in models]
        stakes = {}
        for g in holders:
            there = [s for s in range(SATELLITES) if returned[s] and association[s] == g]
            part = sum(raw[s] for s in there if cluster[s] == label) / sum(raw[s] for s in there)
            stakes[g] = raw_gateway[g] * part
        total = sum(stakes.values())
        merged = sum(stakes[g] / total * models[g, label] for g in holders)
        assert gateway_used[label, holders] == pytest.approx([stakes[g] / total for g in holders])
        for s in range(SATELLITES):
            if returned[s] and cluster[s] == label:
                torch.testing.assert_close(store.held[s, :SHARED], merged, rtol=1e-5, atol=1e-6)
                torch.testing.assert_close(store.held[s, SHARED:], trained[s, SHARED:])
    torch.testing.assert_close(store.held[~returned], before[~returned])
    assert not made_equal.any()
    assert not merge_equal.any()


def test_a_cluster_new_to_a_gateway_starts_from_the_mean_of_its_members():
    store = make_store()
    association = np.array([0, 0, 1, 1, 0, 3, 3])
    cluster = np.array([0, 0, 0, 1, 2, 0, 0])
    trains = np.array([True, True, True, True, False, False, False])
    start = store.start_parameters(place(association, cluster), trains)
    torch.testing.assert_close(start[0, :SHARED], store.held[:2, :SHARED].mean(0))
    torch.testing.assert_close(start[1, :SHARED], start[0, :SHARED])
    for alone in (2, 3, 4, 5, 6):
        torch.testing.assert_close(start[alone], store.held[alone])
    torch.testing.assert_close(start[:, SHARED:], store.held[:, SHARED:])


def test_a_cluster_known_to_a_gateway_starts_from_its_model_there():
    store = make_store()
    model = torch.arange(float(SHARED))
    store.gateway_models = {(1, 4): model}
    start = store.start_parameters(place(np.full(7, 1), np.array([4, 4, 0, 0, 0, 0, 0])), np.ones(7, dtype=bool))
    torch.testing.assert_close(start[:2, :SHARED], model.expand(2, SHARED))
    torch.testing.assert_close(start[2:, :SHARED], store.held[2:, :SHARED].mean(0).expand(5, SHARED))


def test_all_zero_weights_fall_back_to_equal_and_say_so():
    store = make_store()
    everyone = np.ones(7, dtype=bool)
    association, cluster = np.array([0, 0, 1, 1, 1, 2, 2]), np.zeros(7, dtype=np.int64)
    raw = np.array([1, 1, 0, 0, 0, 1, 1.0])
    decision = place(association, cluster, weights=raw, gateway_weights=np.zeros(3))
    used, made_equal = aggregate(store, store.held.clone(), decision, everyone)
    assert made_equal.tolist() == [False, False, True, True, True, False, False]
    assert used[2:5] == pytest.approx(1 / 3)
    gateway_used, merge_equal = store.merge()
    assert np.flatnonzero(merge_equal).tolist() == [0]
    assert gateway_used[0] == pytest.approx(1 / 3)


def test_the_cloud_merges_only_what_changed_since_its_last_merge():
    store = make_store()
    one, other = np.arange(7) == 0, np.arange(7) == 1
    association, cluster = np.array([0, 1, 0, 0, 0, 0, 0]), np.zeros(7, dtype=np.int64)
    decision = place(association, cluster)
    aggregate(store, store.held.clone(), decision, one)
    store.merge()
    trained = store.held + 1
    aggregate(store, trained, decision, other)
    used, _ = store.merge()
    assert used[0].tolist() == [0, 1, 0]
    for gateway in range(3):
        torch.testing.assert_close(store.gateway_models[gateway, 0], trained[1, :SHARED])
    assert not store.merge()[0].any()


def test_a_gateway_that_rests_in_the_merging_round_keeps_the_weight_of_its_last_one():
    store, cluster = make_store(), np.zeros(7, dtype=np.int64)
    trained = torch.arange(7.0)[:, None].expand(7, TOTAL).clone()
    first, second = np.array([0, 1, 3, 3, 3, 3, 3]), np.array([3, 1, 3, 3, 3, 3, 3])
    aggregate(store, trained, place(first, cluster, gateway_weights=np.array([2.0, 5.0, 0.0])), first < 3)
    aggregate(store, trained + 10, place(second, cluster, gateway_weights=np.array([0.0, 3.0, 0.0])), second < 3)
    used, made_equal = store.merge()
    assert not made_equal.any()
    assert used[0] == pytest.approx([2 / 5, 3 / 5, 0])
    torch.testing.assert_close(store.gateway_models[2, 0], torch.full((SHARED,), 2 / 5 * 0 + 3 / 5 * 11))


@pytest.mark.parametrize("seed", range(5))
def test_with_gateway_weights_that_are_sums_each_cluster_gets_the_mean_of_its_members(seed):
    """Task clustering, eq. 5, whichever gateways the members are at."""
    rng = np.random.default_rng(seed)
    store = make_store(seed)
    association, cluster = rng.integers(0, GATEWAYS, SATELLITES), rng.integers(0, 2, SATELLITES)
    everyone, raw = np.ones(SATELLITES, dtype=bool), rng.random(SATELLITES)
    trained = torch.randn(SATELLITES, TOTAL, generator=torch.Generator().manual_seed(seed))
    sums = np.bincount(association, weights=raw, minlength=GATEWAYS)
    aggregate(store, trained, place(association, cluster, weights=raw, gateway_weights=sums), everyone)
    store.merge()
    for label in np.unique(cluster).tolist():
        members = torch.from_numpy(np.flatnonzero(cluster == label))
        weights = torch.from_numpy(raw).float()[members]
        mean = (weights[:, None] * trained[members, :SHARED]).sum(0) / weights.sum()
        torch.testing.assert_close(store.gateway_models[0, label], mean)


def test_huge_weights_do_not_overflow():
    store, cluster = make_store(), np.array([0, 0, 0, 1, 1, 1, 1])
    huge = {"weights": np.full(7, 1e308), "gateway_weights": np.full(3, 1e308)}
    aggregate(store, store.held + 1, place(np.zeros(7, np.int64), cluster, **huge), np.ones(7, bool))
    used, _ = store.merge()
    assert used[:2, 0].tolist() == [1, 1]


def test_a_round_without_participants_changes_nothing():
    store = make_store()
    before = store.held.clone()
    nobody = np.zeros(7, dtype=bool)
    association, cluster = np.full(7, 3), np.zeros(7, dtype=np.int64)
    decision = place(association, cluster)
    torch.testing.assert_close(store.start_parameters(decision, nobody), before)
    used, made_equal = aggregate(store, before + 1, decision, nobody)
    store.merge()
    store.distribute(decision, nobody)
    assert not used.any()
    assert not made_equal.any()
    torch.testing.assert_close(store.held, before)
    assert not store.gateway_models


@pytest.mark.parametrize("count", [0, 1, 40])
def test_distinct_numbers_are_those_of_numpy(count):
    numbers = np.random.default_rng(count).integers(0, 30, count)
    for found, expected in zip(distinct(numbers), np.unique(numbers, return_inverse=True), strict=True):
        np.testing.assert_array_equal(found, expected)
