from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest

from satfl_env import SatFLEnv, judging_metric
from satfl_env.envs.rewards import TERMS, Reward
from satfl_env.scenarios import Target
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
    charge_before_j=np.zeros(4),
    charge_j=np.zeros(4),
    harvested_j=np.array([51.0, 0.0, 0.0, 32.0]),
    standing_j=np.zeros(4),
    spilled_j=np.zeros(4),
    download_model_bits=8e6,
    upload_model_bits=8e6,
    sends=np.ones(4),
    staleness=np.zeros(4, dtype=np.int64),
    weights=np.array([1.0, 0.0, 0.0, 0.0]),
    equal_weights=np.zeros(4, dtype=np.bool_),
    merged=False,
    gateway_weights=np.zeros((4, 1)),
    equal_merges=np.zeros(4, dtype=np.bool_),
    train_loss=np.array([0.5, np.nan, np.nan, np.nan]),
    test_loss_before=np.array([1.0, 2.0, 3.0, 4.0]),
    test_loss=np.array([0.0, 2.0, 3.0, 4.0]),
    metrics_before={"accuracy": np.full(4, 0.5), "balanced_accuracy": np.array([0.2, 0.2, 0.4, 0.4])},
    metrics={"accuracy": np.full(4, 0.75), "balanced_accuracy": np.array([0.8, 0.2, 0.4, 0.4])},
    untestable=np.zeros(4, dtype=np.bool_),
    last=False,
)
PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 2}
QUICK = {"training.max_epochs": 2, "rounds.episode": 3}


def play(env: gym.Env, seed: int = 0) -> list[tuple]:
    """The steps of an episode of random actions that can bring updates back."""
    env.action_space.seed(seed)
    _, info = env.reset(seed=seed)
    steps, over = [], False
    while not over:
        action = env.action_space.sample()
        action["association"] = info["action_mask"]["association"].argmax(axis=1)
        steps.append(env.step(action))
        *_, terminated, truncated, info = steps[-1]
        over = terminated or truncated
    return steps


def test_terms_agree_with_hand_numbers():
    assert Reward().terms(REPORT) == pytest.approx(
        {
            "metric_gain": 0.15,  # balanced accuracy
            "final_metric": 0.0,
            "loss_drop": 0.25,
            "energy_j": -83.0,
            "time_s": -120.0,
            "lost_updates": -2.0,
        }
    )
    assert Reward().terms(replace(REPORT, last=True))["final_metric"] == pytest.approx(0.45)


def test_the_reward_is_the_weighted_sum():
    assert Reward().total(Reward().terms(REPORT)) == pytest.approx(0.15)
    reward = Reward({"metric_gain": 0.0, "loss_drop": 2.0, "energy_j": 0.01, "lost_updates": 0.5})
    assert reward.total(reward.terms(REPORT)) == pytest.approx(0.5 - 0.83 - 1.0)


def test_a_rising_loss_and_a_falling_metric_are_punished():
    worse = replace(REPORT, test_loss=REPORT.test_loss_before + 1.0, metrics={"balanced_accuracy": np.zeros(4)})
    terms = Reward().terms(worse)
    assert terms["loss_drop"] == -1.0
    assert terms["metric_gain"] == pytest.approx(-0.3)


def test_a_term_without_weight_cannot_spoil_the_reward():
    terms = Reward().terms(replace(REPORT, test_loss=np.full(4, np.inf)))
    assert Reward().total(terms) == pytest.approx(0.15)


def test_the_target_names_the_metric_else_the_first_where_none_is_balanced():
    assert Reward(metric="accuracy").terms(REPORT)["metric_gain"] == pytest.approx(0.25)
    assert Reward(metric="accuracy").terms(replace(REPORT, last=True))["final_metric"] == pytest.approx(0.75)
    before, after = (
        {"psnr_db": np.full(4, 20.0), "ms_ssim": np.ones(4)},
        {"psnr_db": np.full(4, 21.0), "ms_ssim": np.ones(4)},
    )
    assert Reward().terms(replace(REPORT, metrics_before=before, metrics=after))["metric_gain"] == 1.0
    env = SatFLEnv(overrides={**QUICK, "target": {"metric": "accuracy", "value": 1.1}})
    _, first = env.reset(seed=0)
    steps = play(env)
    gains = sum(reward for _, reward, *_ in steps)
    assert gains == pytest.approx(steps[-1][4]["metrics"]["accuracy"] - first["metrics"]["accuracy"])


def test_an_entry_in_the_table_is_a_term_of_every_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(TERMS, "rounds", (lambda report: 1.0, 0.0))
    for reward, expected in ((None, 0.0), ({"rounds": 2.0}, 2.0)):
        _, got, *_, info = play(SatFLEnv(overrides=PHYSICS_ONLY, reward=reward))[0]
        assert info["reward_terms"]["rounds"] == 1.0
        assert got == expected  # nobody trains, so that the metric does not rise


@pytest.mark.parametrize("cut", ["truncated", "terminated"])
def test_the_final_metric_counts_once_at_the_end_however_it_comes(cut):
    target = {"target": {"metric": "balanced_accuracy", "value": 0.0 if cut == "terminated" else 1.1}}
    steps = play(SatFLEnv(overrides={**QUICK, **target}, reward={"metric_gain": 0.0, "final_metric": 1.0}))
    *before, (_, reward, terminated, truncated, info) = steps
    assert (terminated, truncated) == (cut == "terminated", cut == "truncated")
    assert len(before) == (0 if terminated else 2)
    assert all(step[1] == step[4]["reward_terms"]["final_metric"] == 0.0 for step in before)
    assert reward == info["reward_terms"]["final_metric"] == info["metrics"]["balanced_accuracy"] > 0


def busy(report: RoundReport) -> int:
    return np.count_nonzero(report.outcome != Outcome.SAT_OUT)


def test_a_function_alone_is_the_whole_reward():
    env = gym.make("SatFL-v0", overrides=QUICK, reward=busy)
    for _, reward, *_, info in play(env):
        assert reward == info["reward_terms"]["busy"] == (info["outcome"] != Outcome.SAT_OUT).sum() > 0
        assert info["reward_terms"].keys() == {*TERMS, "busy"}


def test_functions_and_names_go_together():
    reward = {busy: -0.5, "time_s": 1e-3}
    for _, got, *_, info in play(SatFLEnv(overrides=QUICK, reward=reward)):
        terms = info["reward_terms"]
        assert got == pytest.approx(terms["metric_gain"] - 0.5 * terms["busy"] - 1e-3 * info["duration_s"])


def test_an_environment_with_an_own_reward_can_be_cloned():
    env = SatFLEnv(overrides=PHYSICS_ONLY, reward={busy: 1.0})
    env.reset(seed=0)
    assert [step[1] for step in play(copy.deepcopy(env))] == [step[1] for step in play(env)]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (float("nan"), ValueError, "reward term 'mine' must give a finite number, got nan"),
        (np.float32(np.inf), ValueError, "reward term 'mine' must give a finite number"),
        (None, TypeError, "reward term 'mine' must give a number, got None"),
        ("3", TypeError, "reward term 'mine' must give a number, got '3'"),
        (np.zeros(2), TypeError, "reward term 'mine' must give a number"),
    ],
)
def test_functions_that_give_no_finite_number_are_named(value, error, message):
    def mine(report: RoundReport) -> object:
        return value

    with pytest.raises(error, match=message):
        play(SatFLEnv(overrides=PHYSICS_ONLY, reward=mine))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_entry_in_the_table_that_gives_no_finite_number_is_named_where_it_counts(monkeypatch, value):
    monkeypatch.setitem(TERMS, "odd", (lambda report: value, 0.0))
    assert np.isfinite(play(SatFLEnv(overrides=PHYSICS_ONLY))[0][1])
    with pytest.raises(ValueError, match="reward term 'odd' must give a finite number, got"):
        play(SatFLEnv(overrides=PHYSICS_ONLY, reward={"odd": 1.0}))


@pytest.mark.parametrize(
    ("reward", "error", "message"),
    [
        ({"los_drop": 1.0}, ValueError, "unknown reward term 'los_drop', did you mean 'loss_drop'"),
        ({"energy_j": -1.0}, ValueError, "'energy_j' must be finite and not negative"),
        ({"time_s": float("nan")}, ValueError, "'time_s' must be finite"),
        ({"time_s": "1"}, ValueError, "'time_s' must be finite"),
        ({busy: float("inf")}, ValueError, "'busy' must be finite, got inf"),
        ({lambda report: 0.0: 1.0, lambda report: 1.0: 1.0}, ValueError, "two reward terms have the name '<lambda>'"),
        ({3: 1.0}, ValueError, "unknown reward term 3"),
        (["energy_j"], TypeError, "reward must be a function RoundReport -> float, or a mapping"),
        ("energy_j", TypeError, "reward must be a function"),
    ],
)
def test_bad_rewards_are_rejected(reward, error, message):
    with pytest.raises(error, match=message):
        SatFLEnv(reward=reward)


def test_a_function_without_a_name_goes_by_its_type():
    assert Reward(partial(busy)).terms(REPORT)["partial"] == 3


def test_the_target_names_the_metric_that_judges():
    assert judging_metric(("psnr_db", "ms_ssim")) == "psnr_db"
    assert judging_metric(("accuracy", "balanced_accuracy")) == "balanced_accuracy"
    assert judging_metric(("psnr_db", "ms_ssim"), Target(metric="ms_ssim", value=0.5)) == "ms_ssim"
