from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines.aggregation import (
    Participants,
    fed_avep,
    fed_avg,
    fed_indi,
    fed_lol,
    fed_sel,
    gateway_contribution,
    gateway_mean,
    loss_credit,
    over_mean,
    random_weights,
    uniform,
)
from satfl_env.federated.aggregation import raw_cloud_weights

# Two groups: three satellites with losses 1, 2, 3 and one alone.
PARTICIPANTS = Participants(
    samples=np.array([10, 20, 30, 40]),
    epochs=np.array([4, 3, 1, 2]),
    loss=np.array([1.0, 2.0, 3.0, 5.0]),
    group=np.array([0, 0, 0, 1]),
)
# 3 (6 - 1) / (2 * 6), 3 (6 - 2) / (2 * 6), 3 (6 - 3) / (2 * 6), and 1 alone.
CREDIT = [5 / 4, 4 / 4, 3 / 4, 1.0]
CREDIT_RULES = (fed_lol, fed_indi, fed_sel)
RULES = (uniform, fed_avg, fed_avep, *CREDIT_RULES, partial(fed_sel, beta=0.5), partial(fed_sel, beta=3.0))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (uniform, [1, 1, 1, 1]),
        (fed_avg, [10, 20, 30, 40]),
        (fed_avep, [40, 60, 30, 80]),
        (fed_lol, CREDIT),
        (fed_sel, [40 * 5 / 4, 60 * 4 / 4, 30 * 3 / 4, 80]),
        (
            fed_indi,
            [
                10 / 60 + 4 / 8 + 5 / 12,
                20 / 60 + 3 / 8 + 4 / 12,
                30 / 60 + 1 / 8 + 3 / 12,
                1.0,
            ],
        ),
    ],
)
def test_weights_by_hand(rule, expected):
    assert rule(PARTICIPANTS) == pytest.approx(expected)


def test_fed_sel_without_credit_is_fed_avep():
    assert fed_sel(PARTICIPANTS, beta=0.0) == pytest.approx(fed_avep(PARTICIPANTS))
    assert fed_sel(PARTICIPANTS, beta=2.0)[0] == pytest.approx(40 * (5 / 4) ** 2)


def test_groups_without_loss_count_alike():
    assert loss_credit(np.zeros(3), np.array([0, 0, 1])).tolist() == [1.0, 1.0, 1.0]
    assert over_mean(np.zeros(3), np.array([0, 0, 1])).tolist() == [1.0, 1.0, 1.0]


def test_interleaved_groups_are_kept_apart():
    loss, group = np.array([1.0, 10.0, 3.0, 30.0]), np.array([1, 0, 1, 0])
    assert loss_credit(loss, group) == pytest.approx([1.5, 1.5, 0.5, 0.5])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 20), num_groups=st.integers(1, 5))
def test_credits_agree_with_a_loop_have_mean_one_and_fall_with_loss(seed, size, num_groups):
    rng = np.random.default_rng(seed)
    loss = rng.uniform(0.01, 3, size)
    _, group = np.unique(rng.integers(num_groups, size=size), return_inverse=True)
    credit = loss_credit(loss, group)
    for index in set(group.tolist()):
        members = np.flatnonzero(group == index)
        total, number = sum(loss[members]), len(members)
        share = [1.0 if number == 1 else (total - loss[s]) / ((number - 1) * total) for s in members]
        expected = number * np.array(share)
        assert credit[members] == pytest.approx(expected)
        assert credit[members].mean() == pytest.approx(1.0)
        assert (np.diff(credit[members][np.argsort(loss[members])]) <= 1e-12).all()


def test_gateways_count_as_much_as_their_satellites_together():
    sums = gateway_contribution(np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), 4)
    assert sums.tolist() == [2.0, 0.0, 5.0, 0.0]


@pytest.mark.parametrize("rule", CREDIT_RULES)
def test_with_gateway_means_a_lone_satellite_counts_as_much_as_five(rule):
    """The form of eq. 21 in which credits and shares sum to one inside each gateway."""
    gateway = np.repeat([0, 1, 2], [1, 4, 5])
    alike = Participants(np.full(10, 40), np.full(10, 3), np.full(10, 0.7), gateway)
    weights = gateway_mean(rule(alike), gateway, 3)
    assert weights / weights.sum() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    unlike = replace(alike, samples=np.arange(1, 11), loss=np.linspace(0.1, 1, 10))
    sums = np.bincount(gateway, weights=rule(unlike) / np.bincount(gateway)[gateway])
    assert gateway_mean(rule(unlike), gateway, 4) == pytest.approx([*sums, 0])


@pytest.mark.parametrize("rule", RULES)
def test_gateways_of_identical_satellites_count_by_their_number(rule):
    gateway = np.repeat([0, 1, 2], [1, 4, 5])
    alike = Participants(np.full(10, 40), np.full(10, 3), np.full(10, 0.7), gateway)
    weights = gateway_contribution(rule(alike), gateway, 3)
    assert weights / weights.sum() == pytest.approx([0.1, 0.4, 0.5])


@settings(max_examples=100, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=20),
    samples=st.integers(1, 500),
    epochs=st.integers(1, 100),
    loss=st.just(0.0) | st.floats(1e-6, 1e6),
)
def test_identical_satellites_count_alike_in_the_cloud_wherever_they_are(places, samples, epochs, loss):
    gateway, cluster = np.array(places).T
    number = len(places)
    (group_gateway, group_cluster), group = np.unique(np.array(places).T, axis=1, return_inverse=True)
    alike = Participants(np.full(number, samples), np.full(number, epochs), np.full(number, loss), group)
    for rule in RULES:
        raw = rule(alike)
        within = raw / np.bincount(group, weights=raw)[group]
        at_cloud = raw_cloud_weights(gateway_contribution(raw, gateway, 4), raw, group_gateway, group)
        at_cloud /= np.bincount(group_cluster, weights=at_cloud)[group_cluster]
        assert within * at_cloud[group] == pytest.approx(1 / np.bincount(cluster)[cluster])


def test_every_rule_accepts_a_round_without_participants():
    nobody = Participants(*(np.zeros(0, dtype=np.int64) for _ in range(2)), np.zeros(0), np.zeros(0, dtype=np.int64))
    for rule in RULES:
        assert rule(nobody).shape == (0,)
    assert random_weights(nobody, np.random.default_rng(0)).shape == (0,)
