from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from scipy import stats
from torch import nn

from satfl_baselines import Comparison, Estimate, Run, make_policy, run_episode
from satfl_baselines.evaluate import NOT_PLAYED
from satfl_env import SemanticModel
from satfl_env.scenarios import build, load
from tests.factories import physics_only, play_episode


def episode(values: list[float], metric: str = "balanced_accuracy") -> list[dict[str, float]]:
    costs = {
        "reward": 0.5,
        "energy_j": 10.0,
        "lost": 1.0,
        "not_served": 1.0,
        "upload_bits": 8.0,
        "epochs": 5.0,
        "batches": 7.0,
        "duration_s": 60.0,
    }
    return [
        {
            "round": float(index),
            "time_s": 60.0 * index,
            "test_loss": 1.0 - value,
            "clusters": 1.0,
            metric: value,
            "accuracy": value / 2,
        }
        | NOT_PLAYED
        | (costs if index else {})
        for index, value in enumerate(values)
    ]


def test_intervals_are_those_of_scipy():
    samples = np.random.default_rng(0).normal(size=(6, 3))
    estimate = Estimate.of(samples)
    low, high = stats.t.interval(0.95, 5, loc=samples.mean(axis=0), scale=stats.sem(samples, axis=0))
    assert estimate.mean - estimate.half_width == pytest.approx(low)
    assert estimate.mean + estimate.half_width == pytest.approx(high)


def test_one_seed_has_no_interval():
    estimate = Estimate.of(np.array([2.0]))
    assert estimate.mean == 2.0
    assert np.isnan(estimate.half_width)


@pytest.mark.parametrize(
    ("samples", "verdict"),
    [
        ([1.0, 2.0, 1.5], "yes"),
        ([-1.0, -2.0, -1.5], "no, the reverse"),
        ([20.0, -10.0, -2.0], "not decided"),
        ([0.0, 0.0], "not decided"),
        ([3.0], "not decided"),
        ([np.nan, 1.0], "not decided"),
    ],
)
def test_an_interval_decides_only_if_it_leaves_out_zero(samples, verdict):
    assert Estimate.of(np.array(samples)).verdict() == verdict


def test_outcomes_by_hand_and_differences_seed_by_seed():
    finals = {("a", 0): 0.5, ("a", 1): 0.9, ("b", 0): 0.6, ("b", 1): 1.0}
    episodes = {Run(*run): episode([0.4, 0.4, final]) for run, final in finals.items()}
    comparison = Comparison(("a", "b"), (0, 1), episodes)
    assert comparison.primary == ("balanced_accuracy",)
    assert comparison.metrics == ("balanced_accuracy", "accuracy")
    estimates = comparison.estimates("b")
    assert estimates["balanced_accuracy"].mean == pytest.approx(0.8)
    assert [estimates[name].mean for name in ("not_served", "failed", "upload_bits")] == [2.0, 0.0, 16.0]
    assert estimates["balanced_accuracy"].half_width == pytest.approx(0.2 * stats.t.ppf(0.975, 1))
    assert estimates["mean_balanced_accuracy"].mean == pytest.approx(0.6)
    assert estimates["accuracy"].mean == pytest.approx(0.4)
    assert estimates["test_loss"].mean == pytest.approx(0.2)
    assert estimates["time_s"].mean == pytest.approx(120.0)
    assert estimates["energy_j"].mean == pytest.approx(20.0)
    assert estimates["lost"].mean == pytest.approx(2.0)
    assert estimates["return"].mean == pytest.approx(1.0)
    # Both seeds differ by the same 0.1, whatever their spread.
    assert estimates["balanced_accuracy_difference"].mean == pytest.approx(0.1)
    assert estimates["balanced_accuracy_difference"].half_width == pytest.approx(0.0, abs=1e-12)


def test_reconstruction_is_judged_by_every_metric():
    records = [record | {"ms_ssim": 0.9} for record in episode([20.0, 25.0], metric="psnr_db")]
    for record in records:
        del record["accuracy"]
    assert Comparison(("a",), (0,), {Run("a", 0): records}).primary == ("psnr_db", "ms_ssim")


def test_an_episode_is_recorded_round_by_round():
    scenario = physics_only(3)
    simulation, policy = build(scenario), make_policy("full")
    records = run_episode(scenario, policy, 5)
    assert [record["round"] for record in records] == [0, 1, 2, 3]
    assert records[0]["energy_j"] == records[0]["time_s"] == 0

    state, expected = simulation.reset(5), []
    for _ in range(3):
        state, report = simulation.step(policy(state))
        expected.append([report.energy_j.sum(), report.lost.sum(), report.epochs.sum(), state.time_s])
    got = [[record[name] for name in ("energy_j", "lost", "epochs", "time_s")] for record in records[1:]]
    assert np.array(got) == pytest.approx(np.array(expected))
    assert records[-1]["balanced_accuracy"] == pytest.approx(simulation.test.metrics["balanced_accuracy"].mean())


def test_an_episode_ends_where_the_environments_does():
    changes = {"rounds.episode": 8, "target": {"metric": "balanced_accuracy", "value": 0.6}}
    scenario = load("leo-multitask", **changes)
    records = run_episode(scenario, "full", 0)
    steps = play_episode(gym.make("SatFL-v0", scenario=scenario), "full", 0)
    found = [info["metrics"]["balanced_accuracy"] for *_, info in steps]
    assert [record["balanced_accuracy"] for record in records[1:]] == found
    assert [terminated for _, terminated, _ in steps] == [False] * (len(found) - 1) + [True]
    assert 1 < len(found) < 8


class LinearCode(SemanticModel):
    """A model whose metric is another than those of the scenario's model."""

    def __init__(self):
        super().__init__()
        self.code = nn.Linear(3072, 3072)

    def forward(self, images, draw):
        return self.code(images.flatten(1)).view_as(images)

    def sample_loss(self, outputs, images, targets, output_mask=None):
        return (outputs - images).square().flatten(-3).mean(-1)

    def metrics(self, outputs, images, targets, output_mask=None):
        return {"mse": self.sample_loss(outputs, images, targets).mean(-1)}


def test_a_target_that_is_no_metric_is_named():
    changes = {"training.engine": "none", "target": {"metric": "psnr_db", "value": 20.0}}
    with pytest.raises(ValueError, match=r"target\.metric must be .*mse.*, got 'psnr_db'"):
        run_episode(load("semspacefl-mini", **changes), "full", 0, parts={"model": LinearCode})


def test_an_episode_that_ended_early_stays_at_its_last_record_at_no_cost():
    episodes = {Run("a", 0): episode([0.4, 0.6]), Run("b", 0): episode([0.4, 0.4, 0.5, 0.6])}
    comparison = Comparison(("a", "b"), (0,), episodes)
    curves = comparison.curves("a")
    assert curves["round"].tolist() == [[0, 1, 2, 3]]
    assert curves["balanced_accuracy"].tolist() == [[0.4, 0.6, 0.6, 0.6]]
    assert curves["time_s"].tolist() == [[0, 60, 60, 60]]
    assert curves["energy_j"].tolist() == [[0, 10, 0, 0]]
    assert comparison.outcomes("a")["rounds"].tolist() == [1]
    assert comparison.outcomes("b")["rounds"].tolist() == [3]
    assert comparison.outcomes("a")["energy_j"].tolist() == [10]


def lost_and_ended(report):
    return 10.0 * report.last - report.lost.sum()


@pytest.mark.parametrize("target", [None, {"metric": "balanced_accuracy", "value": 0.55}])
def test_rewards_of_an_episode_are_those_of_the_environment(target):
    scenario = load("leo-multitask", **{"rounds.episode": 3, "target": target})
    choice = {lost_and_ended: 0.5, "final_metric": 2.0}
    records = run_episode(scenario, "full", 0, reward=choice)
    rewards = [reward for reward, *_ in play_episode(gym.make("SatFL-v0", scenario=scenario, reward=choice), "full", 0)]
    assert [record["reward"] for record in records] == [0.0, *rewards]
