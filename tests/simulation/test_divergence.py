"""Training that diverges: rewards and observations stay finite, and whoever diverges spoils nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from satfl_env import Classifier, Outcome, SatFLEnv, Simulation, decision_to_action, scenarios
from satfl_env.federated import LARGEST_USABLE, TrainingSettings, make_trainer
from satfl_env.federated.schedule import Work
from satfl_env.federated.trainer import Shard
from satfl_env.federated.usable import usable_models
from satfl_env.simulation.evaluation import Evaluation
from satfl_env.simulation.uploads import receive_updates
from tests.factories import decide, make_decision

SMALL = {"data.test_samples": 20, "training.max_epochs": 2, "training.optimizer": "sgd"}
TERMS = {"metric_gain": 1.0, "loss_drop": 1.0, "final_metric": 1.0}


def all_finite(values: Any) -> bool:
    if isinstance(values, dict):
        return all(map(all_finite, values.values()))
    return bool(np.isfinite(values).all())


IN_PROCESSES = {"training.learning_rate": 100.0, "training.engine": "processes", "training.workers": 2}


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param(IN_PROCESSES, marks=pytest.mark.slow),
        {"training.learning_rate": 30.0},
        {"training.learning_rate": 1e4, "training.engine": "loop"},
        {"training.learning_rate": 1e3, "training.optimizer": "adam"},
        {"training.learning_rate": 100.0, "training.tested": "trained"},
        {"training.learning_rate": 100.0, "rounds.late": {}},
        {"training.learning_rate": 1e30},
        {"training.learning_rate": 1e38, "training.optimizer": "adam"},
        {"model.channel.test_snr_db": -200.0, "model.channel.snr_db": 200.0},
        {"model.channel.test_snr_db": 200.0, "model.channel.snr_db": -200.0},
        {"training.learning_rate": 50.0, "links.upload_snr_db": -60.0},
        {"training.learning_rate": 1e-3, "links.upload_snr_db": -200.0},
    ],
    ids=str,
)
def test_rewards_observations_and_info_are_finite_whatever_training_does(overrides):
    env = SatFLEnv("task-clustering-mini", {"training.max_epochs": 3, "training.optimizer": "sgd", **overrides}, TERMS)
    observation, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(12):
        action = env.action_space.sample() | {"association": np.zeros(3, dtype=np.int64)}
        observation, reward, *_, info = env.step(action)
        assert np.isfinite(reward)
        assert all_finite(observation)
        assert all_finite(info)
        assert (np.abs(env.simulation.state.last_loss) <= LARGEST_USABLE).all()


def test_relays_carry_no_diverged_model():
    walker = {"kind": "walker", "satellites": 12, "planes": 3, "altitude_m": 3e6, "inclination_deg": 70.0}
    globe = walker | {"epoch": "2026-03-20T00:00:00", "gateways": ["Kourou"]}
    relayed = {"constellation": globe, "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}}}
    env = SatFLEnv("leo-multitask", {**SMALL, **relayed, "training.learning_rate": 1e4}, TERMS)
    observation, info = env.reset(seed=0)
    outcomes = []
    for _ in range(3):
        state = env.simulation.state
        observation, reward, *_, info = env.step(decision_to_action(decide(state), state))
        outcomes += info["outcome"].tolist()
        assert np.isfinite(reward)
        assert all_finite(observation)
        assert all_finite(info)
    assert Outcome.DIVERGED in outcomes


def test_a_rule_of_ones_own_that_gives_no_number_is_named():
    calls = []

    def sometimes(updates: Tensor, weights: Tensor) -> Tensor:
        calls.append(len(updates))
        return weights @ updates * (torch.nan if len(calls) > 2 else 1.0)

    env = SatFLEnv("task-clustering-mini", SMALL, parts={"combine": sometimes})
    env.reset(seed=0)
    state = env.simulation.state
    with pytest.raises(ValueError, match="the server rule sometimes must give finite numbers, got NaN or infinity"):
        env.step(decision_to_action(decide(state), state))


class Broken(Classifier):
    """A classifier whose loss or metric is none where the weights have moved."""

    def __init__(self, what: str, value: float) -> None:
        super().__init__(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
        self.what, self.value = what, value

    def sample_loss(self, outputs: Tensor, *args: Any) -> Tensor:
        loss = super().sample_loss(outputs, *args)
        return loss + self.value if self.what == "loss" and loss.numel() > 90 else loss

    def metrics(self, outputs: Tensor, *args: Any) -> dict[str, Tensor]:
        metrics = super().metrics(outputs, *args)
        return metrics | {"accuracy": metrics["accuracy"] + self.value} if self.what == "metric" else metrics


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("what", ["loss", "metric"])
def test_a_loss_or_metric_of_ones_own_that_is_none_counts_the_worst_and_is_told(what, value):
    parts = {"model": lambda: Broken(what, value)}
    changes = {**SMALL, "data.test_samples": 100, "training.shared": "all", "training.batch_size": 4}
    env = SatFLEnv("leo-multitask", changes, {"loss_drop": 1.0, "metric_gain": 1.0}, parts)
    _, info = env.reset(seed=0)
    for _ in range(2):
        assert info["untestable"].all() == (what == "loss" or np.isnan(value))
        assert np.abs(info["satellite_test_loss"]).max() <= LARGEST_USABLE
        assert np.abs(info["satellite_metrics"]["accuracy"]).max() <= LARGEST_USABLE
        _, reward, *_, info = env.step(env.action_space.sample())
        assert np.isfinite(reward)


def test_what_cannot_be_tested_counts_no_better_than_before_and_everything_else_what_it_is():
    before = Evaluation.of(np.array([0.5, 0.5, 0.5, 0.5]), {"gain": np.array([0.9, -3.0, 0.9, 0.9])})
    loss = np.array([np.nan, np.inf, 7.0, 0.1])
    after = before.updated(np.arange(4), Evaluation.of(loss, {"gain": np.array([0.9, 0.2, np.nan, 0.8])}))
    assert after.untestable.tolist() == [True, True, True, False]
    assert after.loss.tolist() == [LARGEST_USABLE, LARGEST_USABLE, LARGEST_USABLE, 0.1]
    assert after.metrics["gain"].tolist() == [0.0, -3.0, 0.0, 0.8]
    recovered = after.updated(np.array([1]), Evaluation.of(np.array([0.4]), {"gain": np.array([0.7])}))
    assert recovered.untestable.tolist() == [True, False, True, False]
    assert (recovered.loss[1], recovered.metrics["gain"][1]) == (0.4, 0.7)


def test_finite_weights_that_overflow_at_their_next_use_have_diverged():
    simulation = scenarios.build("task-clustering-mini")
    simulation.reset(0)
    learner, data = simulation._learner, simulation._episode.data.train
    rows = simulation.get_state()["models"]["held"]
    rows[1] *= 1e9  # finite, and so is every product up to the loss, which is about 1e18
    rows[2, 0] = 1e13
    assert usable_models(learner.model, learner.layout, rows, data, np.arange(3)).tolist() == [True, False, False]


@pytest.mark.parametrize("engine", ["loop", "stacked", "compiled"])
def test_every_engine_drops_a_model_that_only_its_next_use_shows_to_have_diverged(engine):
    simulation = scenarios.build("task-clustering-mini")
    simulation.reset(0)
    model, data, start = simulation._learner.model, simulation._episode.data.train, simulation._models.held
    # A single step of one minibatch: the loss before it is finite, and so are the parameters after it.
    settings = TrainingSettings(batch_size=64, learning_rate=1e9, optimizer="sgd", batches_per_epoch=1)
    trainer = make_trainer(engine, model, settings, scenarios.load("task-clustering-mini").training)
    epochs, seeds = np.array([1, 0, 1]), np.arange(3, dtype=np.uint64)
    result = trainer.train(start, data, epochs, seeds)
    shard = Shard(np.arange(3), Work.of(data.samples, epochs, settings), seeds).part(np.array([0, 2]))
    rows, loss, usable, _ = trainer.train_rows(start[[0, 2]], data, shard)
    assert np.isfinite(loss).all()
    assert rows.isfinite().all()
    assert usable.tolist() == [True, False]
    assert result.diverged.tolist() == [False, False, True]
    assert torch.equal(result.parameters[[1, 2]], start[[1, 2]])
    assert np.isnan(result.last_loss).tolist() == [False, True, True]


def with_one_bright_satellite(bright: bool) -> Simulation:
    """Three satellites of ideal links, trained one by one; the images of the first are too bright for any training."""
    scenario = scenarios.load("task-clustering-mini", **{"training.engine": "loop", "training.max_epochs": 2})
    usual = scenarios.build(scenario).ingredients.data

    def data(scene: Any, rng: np.random.Generator) -> Any:
        drawn = usual(scene, rng)
        images = drawn.train.images.clone()
        if bright:
            images[: drawn.train.offsets[1]] = 3e38
        return replace(drawn, train=replace(drawn.train, images=images))

    return scenarios.build(scenario, parts={"data": data})


def test_the_others_learn_as_if_a_diverging_satellite_had_sat_out():
    diverging, without = with_one_bright_satellite(True), with_one_bright_satellite(False)
    states = diverging.reset(0), without.reset(0)
    for _ in range(3):
        fast = {"cpu_frequency": states[0].cpu_max_hz}
        one, report = diverging.step(make_decision([0, 0, 0], 1, **fast))
        other, twin = without.step(make_decision([1, 0, 0], 1, **fast))
        assert report.outcome.tolist() == [Outcome.DIVERGED, Outcome.RETURNED, Outcome.RETURNED]
        assert twin.outcome.tolist() == [Outcome.SAT_OUT, Outcome.RETURNED, Outcome.RETURNED]
        for name in ("test_loss", "weights", "train_loss", "untestable"):
            np.testing.assert_allclose(getattr(report, name)[1:], getattr(twin, name)[1:], rtol=1e-5)
        np.testing.assert_allclose(one.update_similarity, other.update_similarity, atol=1e-6)
        states = one, other
    torch.testing.assert_close(diverging._models.held[1:], without._models.held[1:], rtol=1e-5, atol=1e-6)


def test_noise_that_leaves_no_number_loses_the_update_of_its_satellite_only():
    start = torch.zeros(3, 50)
    trained = torch.tensor([[1e-3], [1e11], [0.0]]).expand(3, 50)
    everyone = np.ones(3, dtype=np.bool_)
    received, updates, returned = receive_updates(
        start, trained, everyone, -60.0, lambda: torch.Generator().manual_seed(0)
    )
    assert returned.tolist() == [True, False, True]
    assert torch.equal(updates, received[[0, 2]])


def test_vector_environments_tell_the_same():
    changes = {**SMALL, "training.learning_rate": 100.0}
    envs = gym.make_vec("SatFL-v0", num_envs=2, vectorization_mode="vector_entry_point", overrides=changes)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    for _ in range(4):
        _, rewards, *_, infos = envs.step(envs.action_space.sample())
        assert np.isfinite(rewards).all()
        assert infos["untestable"].shape == (2, 10)
