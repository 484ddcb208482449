"""Satellites that fetch the models of several clusters, and know the loss of each on their own samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from satfl_baselines import as_agent, make_policy
from satfl_env import SatFLEnv, Simulation, scenarios
from satfl_env.federated import Layout
from satfl_env.simulation.evaluation import training_loss
from satfl_env.simulation.streams import torch_generator
from satfl_env.simulation.testers import TorchTester
from tests.factories import decide

QUICK = {"training.max_epochs": 2, "rounds.episode": 5, "data.test_samples": 8, "rounds.cloud_every": 2}
IDEAL = {"links": {"kind": "ideal", "rate_bps": 1e6, "transmit_power_w": 2.0, "model_bits": 8e6}}
THREE = {"rounds.broadcast": 3}


def build(**changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, **changes}))


def play(simulation: Simulation, rounds: int, policy: str = "ifca") -> list:
    state, steps, decide_on = simulation.reset(0), [], make_policy(policy)
    for _ in range(rounds):
        state, report = simulation.step(decide_on(state))
        steps.append((state, report))
    return steps


def test_three_models_take_three_times_the_bits_down_and_no_more_up():
    reports = []
    for changes in ({}, THREE):
        simulation = build(**IDEAL, **changes)
        reports.append(simulation.step(decide(simulation.reset(0)))[1])
    one, three = reports
    came = one.returned & three.returned
    assert came.any()
    np.testing.assert_array_equal(three.download_bits[came], 3 * one.download_bits[came])
    np.testing.assert_array_equal(three.upload_bits[came], one.upload_bits[came])
    np.testing.assert_allclose(three.download_s[came] - one.download_s[came], 16.0)
    np.testing.assert_array_equal(three.upload_s[came], one.upload_s[came])


def test_losses_are_those_of_the_newest_model_of_each_cluster_and_each_ones_own_decoder():
    simulation = build(**THREE)
    assert (simulation.reset(0).cluster_loss == 1e12).all()
    state, _ = play(simulation, 3)[-1]
    kept, ingredients = simulation.get_state()["models"], simulation.ingredients
    model = ingredients.model()
    data = simulation._episode.data.train
    for cluster in range(3):
        holders = [gateway for gateway, label in kept["gateway_models"] if label == cluster]
        newest = max(holders, key=lambda gateway: kept["gateway_version"][gateway, cluster])
        held, shared = kept["held"].clone(), kept["gateway_models"][newest, cluster]
        held[:, : len(shared)] = shared
        tester = TorchTester(model, Layout.of(model), "cpu")
        draws = torch_generator(0, "noise", 1, 3)
        expected = training_loss(tester, held, data, model.draw_channel, draws)
        np.testing.assert_allclose(state.cluster_loss[:, cluster], expected, rtol=1e-4)


def test_a_cluster_that_nobody_has_trained_has_a_loss_that_nobody_chooses():
    simulation = build(**THREE)
    state, _ = simulation.step(decide(simulation.reset(0)))
    assert (state.cluster_loss[:, 1:] == 1e12).all()
    assert (state.cluster_loss[:, 0] < 1e12).all()
    assert not make_policy("ifca")(state).cluster.any()


def test_ifca_deals_satellites_out_at_first_and_then_follows_the_losses():
    simulation, policy = build(**THREE), make_policy("ifca")
    state = simulation.reset(0)
    assert policy(state).cluster.tolist() == [satellite % 3 for satellite in range(state.num_satellites)]
    state, _ = simulation.step(policy(state))
    assert policy(state).cluster.tolist() == [row.index(min(row)) for row in state.cluster_loss.tolist()]


def test_with_a_single_cluster_it_is_unclustered_and_nothing_changes():
    plain, ifca = (play(build(), 3, policy)[-1] for policy in ("unclustered", "ifca"))
    np.testing.assert_array_equal(ifca[0].cluster_loss, np.zeros((ifca[0].num_satellites, 1)))
    assert not ifca[0].cluster.any()
    np.testing.assert_array_equal(plain[1].outcome, ifca[1].outcome)


def test_a_restored_episode_goes_on_alike():
    simulation = build(**THREE)
    play(simulation, 2)
    kept = simulation.get_state()
    policy, states = make_policy("ifca"), []
    for other in (simulation, build(**THREE)):
        state = other.set_state(kept)
        for _ in range(2):
            state, _ = other.step(policy(state))
        states.append(state)
    np.testing.assert_array_equal(states[0].cluster_loss, states[1].cluster_loss)
    np.testing.assert_array_equal(states[0].cluster, states[1].cluster)


def test_it_is_observed_and_ifca_decides_alike_on_observations():
    env = SatFLEnv("leo-multitask", overrides={**QUICK, **THREE})
    agent, policy = as_agent(make_policy("ifca")), make_policy("ifca")
    observation, _ = env.reset(seed=0)
    simulation = build(**THREE)
    state = simulation.reset(0)
    for _ in range(3):
        assert env.observation_space.contains(observation)
        assert observation["cluster_loss"].shape == (state.num_satellites, 3)
        action = agent(observation)
        np.testing.assert_array_equal(action["cluster"], policy(state).cluster)
        observation, *_ = env.step(action)
        state, _ = simulation.step(policy(state))


def test_where_nobody_trains_there_is_nothing_to_choose_by():
    state, report = play(build(**THREE, **{"training.engine": "none"}), 2)[-1]
    assert report.returned.any()
    np.testing.assert_array_equal(state.cluster_loss, np.zeros((state.num_satellites, 3)))


def test_more_clusters_than_satellites_are_refused():
    simulation = build(**{"rounds.broadcast": 11})
    with pytest.raises(ValueError, match=r"rounds\.broadcast must be at most the number of satellites, 10, got 11"):
        simulation.reset(0)
