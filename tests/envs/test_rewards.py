from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from satfl_env.envs.rewards import reward_terms, reward_weights, weighted_sum
from satfl_env.simulation import Outcome, RoundReport

REPORT = RoundReport(
    round=0,
    time_s=0.0,
    duration_s=120.0,
    outcome=np.array([Outcome.RETURNED, Outcome.SAT_OUT, Outcome.NOT_VISIBLE, Outcome.DIVERGED]),
    epochs=np.array([2, 0, 0, 3]),
    batches=np.array([4, 0, 0, 6]),
    download_s=np.zeros(4),
    compute_s=np.zeros(4),
    upload_s=np.zeros(4),
    compute_energy_j=np.array([50.0, 0.0, 0.0, 30.0]),
    transmit_energy_j=np.array([1.0, 0.0, 0.0, 2.0]),
    staleness=np.zeros(4, dtype=np.int64),
    weights=np.array([1.0, 0.0, 0.0, 0.0]),
    equal_weight_groups=(),
    merged=False,
    gateway_weights=np.zeros((4, 1)),
    equal_weight_merges=(),
    train_loss=np.array([0.5, np.nan, np.nan, np.nan]),
    test_loss_before=np.array([1.0, 2.0, 3.0, 4.0]),
    test_loss=np.array([0.0, 2.0, 3.0, 4.0]),
    metrics={},
)


def test_terms_agree_with_hand_numbers():
    assert reward_terms(REPORT) == {"loss_drop": 0.25, "energy_j": -83.0, "time_s": -120.0, "lost_updates": -2.0}


def test_the_reward_is_the_weighted_sum():
    assert weighted_sum(reward_terms(REPORT), reward_weights(None)) == 0.25
    weights = reward_weights({"loss_drop": 2.0, "energy_j": 0.01, "lost_updates": 0.5})
    assert weighted_sum(reward_terms(REPORT), weights) == pytest.approx(0.5 - 0.83 - 1.0)


def test_a_rising_loss_is_punished():
    worse = replace(REPORT, test_loss=REPORT.test_loss_before + 1.0)
    assert reward_terms(worse)["loss_drop"] == -1.0
