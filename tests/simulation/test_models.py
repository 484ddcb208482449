from __future__ import annotations

import numpy as np
import pytest
import torch

from satfl_env.simulation.models import ModelStore, distinct

SATELLITES, GATEWAYS, SHARED, TOTAL = 7, 3, 5, 8


def make_store(seed: int = 0) -> ModelStore:
    held = torch.randn(SATELLITES, TOTAL, generator=torch.Generator().manual_seed(seed))
    return ModelStore(held, SHARED, GATEWAYS)


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

    used, made_equal = store.aggregate(trained, raw, association, cluster, returned)
    gateway_used, merge_equal = store.merge(raw_gateway)
    store.distribute(association, cluster, returned)

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
        total = sum(raw_gateway[g] for g in holders)
        merged = sum(raw_gateway[g] / total * models[g, label] for g in holders)
        assert gateway_used[label, holders] == pytest.approx(raw_gateway[holders] / total)
        for s in range(SATELLITES):
            if returned[s] and cluster[s] == label:
                torch.testing.assert_close(store.held[s, :SHARED], merged, rtol=1e-5, atol=1e-6)
                torch.testing.assert_close(store.held[s, SHARED:], trained[s, SHARED:])
    torch.testing.assert_close(store.held[~returned], before[~returned])
    assert made_equal == ()
    assert merge_equal == ()


def test_a_cluster_new_to_a_gateway_starts_from_the_mean_of_its_members():
    store = make_store()
    association = np.array([0, 0, 1, 1, 0, 3, 3])
    cluster = np.array([0, 0, 0, 1, 2, 0, 0])
    trains = np.array([True, True, True, True, False, False, False])
    start = store.start_parameters(association, cluster, trains)
    torch.testing.assert_close(start[0, :SHARED], store.held[:2, :SHARED].mean(0))
    torch.testing.assert_close(start[1, :SHARED], start[0, :SHARED])
    for alone in (2, 3, 4, 5, 6):
        torch.testing.assert_close(start[alone], store.held[alone])
    torch.testing.assert_close(start[:, SHARED:], store.held[:, SHARED:])


def test_a_cluster_known_to_a_gateway_starts_from_its_model_there():
    store = make_store()
    model = torch.arange(float(SHARED))
    store.gateway_models = {(1, 4): model}
    start = store.start_parameters(np.full(7, 1), np.array([4, 4, 0, 0, 0, 0, 0]), np.ones(7, dtype=bool))
    torch.testing.assert_close(start[:2, :SHARED], model.expand(2, SHARED))
    torch.testing.assert_close(start[2:, :SHARED], store.held[2:, :SHARED].mean(0).expand(5, SHARED))


def test_all_zero_weights_fall_back_to_equal_and_say_so():
    store = make_store()
    everyone = np.ones(7, dtype=bool)
    association, cluster = np.array([0, 0, 1, 1, 1, 2, 2]), np.zeros(7, dtype=np.int64)
    used, made_equal = store.aggregate(
        store.held.clone(), np.array([1, 1, 0, 0, 0, 1, 1.0]), association, cluster, everyone
    )
    assert made_equal == ((1, 0),)
    assert used[2:5] == pytest.approx(1 / 3)
    gateway_used, merge_equal = store.merge(np.zeros(3))
    assert merge_equal == (0,)
    assert gateway_used[0] == pytest.approx(1 / 3)


def test_the_cloud_merges_only_what_changed_since_its_last_merge():
    store = make_store()
    one, other = np.arange(7) == 0, np.arange(7) == 1
    association, cluster = np.array([0, 1, 0, 0, 0, 0, 0]), np.zeros(7, dtype=np.int64)
    store.aggregate(store.held.clone(), np.ones(7), association, cluster, one)
    store.merge(np.ones(3))
    trained = store.held + 1
    store.aggregate(trained, np.ones(7), association, cluster, other)
    used, _ = store.merge(np.ones(3))
    assert used[0].tolist() == [0, 1, 0]
    for gateway in range(3):
        torch.testing.assert_close(store.gateway_models[gateway, 0], trained[1, :SHARED])
    assert not store.merge(np.ones(3))[0].any()


def test_a_round_without_participants_changes_nothing():
    store = make_store()
    before = store.held.clone()
    nobody = np.zeros(7, dtype=bool)
    association, cluster = np.full(7, 3), np.zeros(7, dtype=np.int64)
    torch.testing.assert_close(store.start_parameters(association, cluster, nobody), before)
    used, made_equal = store.aggregate(before + 1, np.ones(7), association, cluster, nobody)
    store.merge(np.ones(3))
    store.distribute(association, cluster, nobody)
    assert not used.any()
    assert made_equal == ()
    torch.testing.assert_close(store.held, before)
    assert not store.gateway_models


@pytest.mark.parametrize("count", [0, 1, 40])
def test_distinct_numbers_are_those_of_numpy(count):
    numbers = np.random.default_rng(count).integers(0, 30, count)
    for found, expected in zip(distinct(numbers), np.unique(numbers, return_inverse=True), strict=True):
        np.testing.assert_array_equal(found, expected)
