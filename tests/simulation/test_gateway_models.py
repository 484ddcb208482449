"""Tests of the models that gateways hold: without a cloud each has its own, with one all have the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from satfl_baselines import make_policy
from satfl_env import Simulation
from satfl_env.scenarios import build, load

SMALL: dict[str, Any] = {
    "data": {
        "source": "digits",
        "image_size": None,
        "partition": {"kind": "dirichlet", "alpha": 0.5, "min_samples": 5, "total_samples": 200},
        "test_samples": 6,
    },
    "model": {"kind": "swin-jscc", "patch": 2, "width": 8, "head_width": 4, "depths": (1,)},
    "training.round_share": 0.01,
    "rounds.episode": 2,
}


def play(**changes: Any) -> Simulation:
    simulation = build(load("semspacefl", **SMALL, **changes))
    policy, state = make_policy("proposed-fedavg"), simulation.reset(0)
    while not simulation.finished:
        state, _ = simulation.step(policy(state))
    return simulation


def test_gateways_apart_are_tested_one_by_one():
    simulation = play(**{"rounds.cloud_every": 100})
    tests = {snr_db: simulation.test_gateways(snr_db) for snr_db in (1.0, 5.0, 11.0)}
    assert len(np.unique(tests[11.0].loss)) == 3
    assert all(tests[11.0].loss < tests[1.0].loss)
    # What satellites hold is tested already; testing it again gives the same.
    usual = simulation.test_gateways()
    assert usual.loss == pytest.approx(tests[5.0].loss)
    for name, values in usual.metrics.items():
        assert values == pytest.approx(tests[5.0].metrics[name])


def test_after_a_merge_all_gateways_hold_the_same_model():
    simulation = play(**{"rounds.cloud_every": 2})
    test = simulation.test_gateways(11.0)
    assert len(np.unique(test.loss)) == 1
    assert test.metrics["psnr_db"][0] == pytest.approx(test.metrics["psnr_db"][2])
    model, draw = simulation.get_state()["models"]["gateway_models"][0, 0], simulation._draw_test_channel(11.0)
    simulation._learner.layout.load(simulation._learner.model, model)
    with torch.no_grad():
        errors = (
            simulation._learner.model(simulation._episode.data.test_images, draw) - simulation._episode.data.test_images
        ).square()
    assert test.loss[0] == pytest.approx(float(errors.mean()), rel=1e-5)


def test_before_the_first_round_gateways_hold_nothing():
    simulation = build(load("semspacefl", **SMALL))
    simulation.reset(0)
    assert np.isnan(simulation.test_gateways().loss).all()


@pytest.mark.parametrize("changes", [{"training.shared": "encoder"}, {"training.engine": "none"}])
def test_models_that_stay_on_board_cannot_be_tested_at_gateways(changes: dict[str, Any]):
    with pytest.raises(RuntimeError, match=r"training\.shared"):
        play(**changes, **{"model.channel.final_snrs_db": ()}).test_gateways()


def test_gateways_of_several_tasks_have_no_test():
    simulation = build(load("leo-multitask", **{"training.shared": "all", "training.max_epochs": 1}))
    simulation.reset(0)
    with pytest.raises(RuntimeError, match="tasks of their own"):
        simulation.test_gateways()
