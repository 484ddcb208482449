"""The default reward ranks policies as the metric that judges them does, on every built-in scenario."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from satfl_baselines import run_episode
from satfl_env import SatFLEnv, primary_metrics, scenarios
from tests.factories import play_episode

POLICIES = ("full", "nearest-fedavg", "individual", "random")
SHORT = {"rounds.episode": 2, "training.max_epochs": 1, "data.test_samples": 16}
# These take seconds, or data that does not come along; what makes them so has nothing to do with the reward.
SLOW, NEED_DATA = ("sentinel", "walker-earth", "starlink-shell", "mega-shell"), ("semspacefl", "task-clustering")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
    for name in scenarios.names()
    if name not in NEED_DATA
]


def judged(name: str, policy: str, seed: int, **overrides: Any) -> tuple[float, float, float]:
    """The metric before an episode and after it, and the return."""
    scenario = scenarios.load(name, **overrides)
    first, *rounds = run_episode(scenario, policy, seed)
    known = [metric for metric in ("balanced_accuracy", "psnr_db", "accuracy") if metric in first]
    metric = primary_metrics(known)[0] if scenario.target is None else scenario.target.metric
    return first[metric], rounds[-1][metric], sum(record["reward"] for record in rounds)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_by_return_is_the_order_by_final_metric(name):
    first, final, total = np.array([judged(name, policy, 0, **SHORT) for policy in POLICIES]).T
    # Policies meet the same untrained models: the return is the final metric but for a constant.
    assert len(set(first)) == 1
    np.testing.assert_allclose(total, final - first, rtol=1e-9, atol=1e-12)
    apart = np.abs(final[:, None] - final) > 1e-9
    assert apart.any()
    np.testing.assert_array_equal(np.sign(total[:, None] - total)[apart], np.sign(final[:, None] - final)[apart])


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_the_order_is_that_of_the_target_s_metric_also_where_it_ends_episodes_early(metric):
    target = {"rounds.episode": 6, "target": {"metric": metric, "value": 0.6}}
    results = np.array([judged("leo-multitask", policy, 5, **target) for policy in POLICIES])
    lengths = {len(run_episode(scenarios.load("leo-multitask", **target), policy, 5)) for policy in POLICIES}
    assert len(lengths) > 1
    np.testing.assert_allclose(results[:, 2], results[:, 1] - results[:, 0], rtol=1e-9)


def test_a_scenario_s_scale_multiplies_the_reward_and_nothing_else():
    plain, scaled = (
        play_episode(SatFLEnv(overrides={**SHORT, **more}), "full", 5) for more in ({}, {"reward_scale": 4})
    )
    for (reward, _, info), (larger, _, same) in zip(plain, scaled, strict=True):
        assert larger == 4 * reward != 0.0
        assert info["reward_terms"] == same["reward_terms"]
    assert judged("leo-multitask", "full", 5, **SHORT, reward_scale=4)[2] == sum(reward for reward, *_ in scaled)
    own = SatFLEnv(overrides={**SHORT, "reward_scale": 0.5}, reward={"metric_gain": 0.0, "time_s": 1.0})
    assert all(reward == -0.5 * info["duration_s"] for reward, _, info in play_episode(own, "full", 5))


@pytest.mark.slow
def test_the_drop_of_the_loss_ranks_policies_the_wrong_way_round():
    """With few samples, models become overconfident: a higher loss at a higher accuracy."""
    few = scenarios.load("leo-multitask", **{"data.partition.samples": [6, 25]})
    returns, accuracy = {}, {}
    for policy in ("full", "random"):
        episodes = [run_episode(few, policy, seed, reward={"metric_gain": 0.0, "loss_drop": 1.0}) for seed in range(10)]
        returns[policy] = np.mean([sum(record["reward"] for record in episode) for episode in episodes])
        accuracy[policy] = np.mean([episode[-1]["balanced_accuracy"] for episode in episodes])
    assert accuracy["full"] > accuracy["random"] + 0.1
    assert returns["full"] < returns["random"]
