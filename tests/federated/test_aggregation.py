from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from satfl_env.federated import cloud_aggregate, gateway_aggregate, normalise_weights, raw_cloud_weights


@pytest.mark.parametrize("aggregate", [gateway_aggregate, cloud_aggregate])
def test_aggregate_equals_a_plain_loop(aggregate):
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(9, 20)))
    groups = np.array([0, 2, 1, 0, 0, 2, 1, 1, 0])
    weights, _ = normalise_weights(rng.random(9), groups)
    expected = torch.zeros(3, 20, dtype=torch.float64)
    for satellite in range(9):
        for parameter in range(20):
            expected[groups[satellite], parameter] += weights[satellite] * rows[satellite, parameter]
    assert torch.allclose(aggregate(rows, weights, groups), expected, atol=1e-14)


def test_equal_weights_give_the_cluster_mean():
    rows = torch.arange(12.0).view(4, 3)
    models = gateway_aggregate(rows, np.array([0.5, 0.5, 0.5, 0.5]), np.array([0, 1, 0, 1]))
    assert torch.equal(models, torch.stack([rows[[0, 2]].mean(0), rows[[1, 3]].mean(0)]))


def test_hand_numbers_and_all_zero_group_falls_back_to_equal():
    weights, fallen = normalise_weights([1.0, 3.0, 0.0, 0.0], np.array([0, 0, 2, 2]))
    assert weights.tolist() == [0.25, 0.75, 0.5, 0.5]
    assert fallen.tolist() == [False, False, True, True]


@given(st.lists(st.tuples(st.floats(0, 1e300), st.integers(0, 3)), min_size=1, max_size=12))
def test_normalised_weights_sum_to_one_in_each_group(entries: list[tuple[float, int]]):
    raw, groups = np.array([e[0] for e in entries]), np.array([e[1] for e in entries])
    weights, _ = normalise_weights(raw, groups)
    assert (weights >= 0).all()
    for group in set(groups.tolist()):
        assert weights[groups == group].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_bad_weights_are_rejected(bad: float):
    with pytest.raises(ValueError, match="finite and >= 0"):
        normalise_weights([1.0, bad], np.array([0, 0]))


def test_bad_shapes_and_sums_are_rejected():
    rows = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="expected that of groups"):
        normalise_weights([1.0], np.array([0, 0]))
    with pytest.raises(ValueError, match="sum to 1"):
        gateway_aggregate(rows, np.array([0.5, 0.4]), np.array([0, 0]))
    with pytest.raises(ValueError, match="sum to 1"):
        gateway_aggregate(rows, np.array([1.0, 1.0]), np.array([0, 2]))
    with pytest.raises(ValueError, match="do not fit"):
        cloud_aggregate(rows, np.array([1.0]), np.array([0]))


def test_a_gateway_s_weight_is_divided_among_its_clusters():
    # Satellites 0, 1, 2 are at gateway 0 in clusters a, a, b; 3 at gateway 1 in a; 4 and 5 at gateway 2 in a, b.
    gateways, groups = np.array([0, 0, 1, 2, 2]), np.array([0, 0, 1, 2, 3, 4])
    raw = np.array([1.0, 2.0, 1.0, 5.0, 0.0, 0.0])
    found = raw_cloud_weights(np.array([8.0, 5.0, 3.0]), raw, gateways, groups)
    assert found.tolist() == pytest.approx([6.0, 2.0, 5.0, 1.5, 1.5])
    assert raw_cloud_weights(np.array([2.0, 1.0, 3.0]), np.zeros(6), gateways, groups).tolist() == pytest.approx(
        [4 / 3, 2 / 3, 1.0, 1.5, 1.5]
    )


@given(st.lists(st.floats(0, 1e300), min_size=6, max_size=6), st.integers(0, 2))
def test_gateways_that_weigh_as_much_as_their_satellites_give_the_mean_over_a_cluster(raw: list[float], zero: int):
    weights = np.array(raw) / 1e300
    weights[zero] = 0.0
    gateways, groups = np.array([0, 0, 1, 2, 2]), np.array([0, 0, 1, 2, 3, 4])
    whole = np.bincount(gateways[groups], weights=weights)
    found = raw_cloud_weights(whole, weights, gateways, groups)
    assert found == pytest.approx(np.bincount(groups, weights=weights), abs=1e-12)
