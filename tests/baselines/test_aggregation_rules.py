from __future__ import annotations

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
    group_share,
    loss_credit,
    random_weights,
    uniform,
)

# Two groups: three satellites with losses 1, 2, 3 and one alone.
PARTICIPANTS = Participants(
    samples=np.array([10, 20, 30, 40]),
    epochs=np.array([4, 3, 1, 2]),
    loss=np.array([1.0, 2.0, 3.0, 5.0]),
    group=np.array([0, 0, 0, 1]),
)
# (6 - 1) / (2 * 6), (6 - 2) / (2 * 6), (6 - 3) / (2 * 6), and 1 alone.
CREDIT = [5 / 12, 4 / 12, 3 / 12, 1.0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (uniform, [1, 1, 1, 1]),
        (fed_avg, [10, 20, 30, 40]),
        (fed_avep, [40, 60, 30, 80]),
        (fed_lol, CREDIT),
        (fed_sel, [40 * 5 / 12, 60 * 4 / 12, 30 * 3 / 12, 80]),
        (
            fed_indi,
            [
                (10 / 60 + 4 / 8 + 5 / 12) / 3,
                (20 / 60 + 3 / 8 + 4 / 12) / 3,
                (30 / 60 + 1 / 8 + 3 / 12) / 3,
                1.0,
            ],
        ),
    ],
)
def test_weights_by_hand(rule, expected):
    assert rule(PARTICIPANTS) == pytest.approx(expected)


def test_fed_sel_without_credit_is_fed_avep():
    assert fed_sel(PARTICIPANTS, beta=0.0) == pytest.approx(fed_avep(PARTICIPANTS))
    assert fed_sel(PARTICIPANTS, beta=2.0)[0] == pytest.approx(40 * (5 / 12) ** 2)


def test_groups_without_loss_share_equally():
    assert loss_credit(np.zeros(3), np.array([0, 0, 1])).tolist() == [0.5, 0.5, 1.0]
    assert group_share(np.zeros(3), np.array([0, 0, 1])).tolist() == [0.5, 0.5, 1.0]


def test_interleaved_groups_are_kept_apart():
    loss, group = np.array([1.0, 10.0, 3.0, 30.0]), np.array([1, 0, 1, 0])
    assert loss_credit(loss, group) == pytest.approx([0.75, 0.75, 0.25, 0.25])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 20), num_groups=st.integers(1, 5))
def test_credits_agree_with_a_loop_sum_to_one_and_fall_with_loss(seed, size, num_groups):
    rng = np.random.default_rng(seed)
    loss = rng.uniform(0.01, 3, size)
    _, group = np.unique(rng.integers(num_groups, size=size), return_inverse=True)
    credit = loss_credit(loss, group)
    for index in set(group.tolist()):
        members = np.flatnonzero(group == index)
        total, number = sum(loss[members]), len(members)
        expected = [1.0 if number == 1 else (total - loss[s]) / ((number - 1) * total) for s in members]
        assert credit[members] == pytest.approx(expected)
        assert credit[members].sum() == pytest.approx(1.0)
        assert (np.diff(credit[members][np.argsort(loss[members])]) <= 1e-12).all()


def test_gateways_count_as_much_as_their_satellites_together():
    sums = gateway_contribution(np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), 4)
    assert sums.tolist() == [2.0, 0.0, 5.0, 0.0]


def test_every_rule_accepts_a_round_without_participants():
    nobody = Participants(*(np.zeros(0, dtype=np.int64) for _ in range(2)), np.zeros(0), np.zeros(0, dtype=np.int64))
    for rule in (uniform, fed_avg, fed_avep, fed_lol, fed_indi, fed_sel):
        assert rule(nobody).shape == (0,)
    assert random_weights(nobody, np.random.default_rng(0)).shape == (0,)
