from __future__ import annotations

import numpy as np
import pytest

from satfl_baselines import make_policy, run_episode
from satfl_env.scenarios import ScenarioError, build, load

DIGITS = {"data.source": "digits", "data.partition.samples": [60, 60]}


def test_it_is_the_papers_set_up():
    scenario = load("task-clustering")
    assert scenario.data.source == "mnist"
    assert [task.name for task in scenario.data.partition.tasks] == ["Task1", "Task2", "Task3"]
    assert scenario.constellation.num_gateways == 1
    assert (scenario.rounds.episode, scenario.rounds.cloud_every, scenario.training.max_epochs) == (30, 1, 10)
    assert (scenario.links.kind, scenario.model.kind, scenario.model.channel_uses) == ("ideal", "mlp-link", 8)


def test_everyone_trains_ten_epochs_a_round_and_nothing_is_lost():
    simulation, policy = build(load("task-clustering", **DIGITS)), make_policy("task-clustering")
    state = simulation.reset(0)
    for _ in range(3):
        state, report = simulation.step(policy(state))
        assert report.epochs.tolist() == [10, 10, 10]
        assert report.returned.all()


@pytest.mark.parametrize("channel", [{"kind": "rayleigh"}, {"kind": "rician", "rician_k": 6.0}])
def test_the_whole_scenario_runs_and_learns_under_fading(channel):
    fading, awgn = (load("task-clustering", **DIGITS, **{"model.channel": changes}) for changes in (channel, {}))
    records, clear = (run_episode(scenario, "task-clustering", 0) for scenario in (fading, awgn))
    assert len(records) == 31
    assert records[-1]["balanced_accuracy"] > records[0]["balanced_accuracy"] + 0.1
    assert records[-1]["clusters"] == 2
    assert records[-1]["test_loss"] != clear[-1]["test_loss"]


def test_more_tasks_and_several_satellites_a_task_are_configuration():
    tasks = [
        {"name": "two", "classes": [2], "positive_share": 0.7},
        {"name": "low", "classes": [1, 2], "positive_share": 0.9},
        {"name": "six", "classes": [6], "positive_share": 0.7},
        {"name": "high", "classes": [6, 7, 8], "positive_share": 0.9},
    ]
    circles = [{"radius_m": 1.2e6, "satellites": 8}]
    changes = {"data.partition.tasks": tasks, "constellation.circles": circles, "rounds.episode": 1}
    scenario = load("task-clustering", **DIGITS, **changes)
    records, simulation = run_episode(scenario, "task-clustering", 0), build(scenario)
    labels = make_policy("task-clustering")(simulation.reset(0)).cluster
    assert simulation.tasks == ("two", "low", "six", "high") * 2
    assert np.array_equal(labels[:4], labels[4:])
    assert records[1]["together/two+low"] == 1.0
    assert records[1]["together/two+six"] == 0.0
    assert records[1]["accuracy/high"] > 0


def test_outputs_mean_the_same_label_everywhere_or_are_numbered_by_task():
    """The alphabet is 1, 2, 6, other."""
    parts = []
    for outputs in ("alphabet", "own"):
        ingredients = build(load("task-clustering", **DIGITS, **{"data.partition.outputs": outputs})).ingredients
        scene = ingredients.scene(np.random.default_rng(0))
        parts.append(ingredients.data(scene, np.random.default_rng(0)))
    common, own = parts
    assert common.train.output_mask.int().tolist() == [[0, 1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 1]]
    assert own.train.output_mask.int().tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 0]]
    letters = [np.array([1, 3]), np.array([0, 1, 3]), np.array([2, 3])]
    for satellite, translate in enumerate(letters):
        mine = slice(*common.train.offsets[satellite : satellite + 2])
        assert common.train.targets[mine].tolist() == translate[own.train.targets[mine]].tolist()
        assert common.test_targets[satellite].tolist() == translate[own.test_targets[satellite]].tolist()
    assert np.array_equal(common.test_weights, own.test_weights)


def test_models_can_be_tested_before_or_after_aggregation():
    """Alone they are the same; together the encoder that comes back is another than the one that was trained."""
    reports = {}
    for tested in ("held", "trained"):
        simulation = build(load("task-clustering", **DIGITS, **{"training.tested": tested}))
        _, reports[tested] = simulation.step(make_policy("task-clustering")(simulation.reset(0)))
    same = reports["held"].test_loss == reports["trained"].test_loss
    assert same.tolist() == [False, False, True]
    assert np.array_equal(reports["held"].train_loss, reports["trained"].train_loss)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"data.partition.samples": [0, 10]}, ["data.partition", "greater than or equal to 1", "got 0"]),
        ({"links.upload_snr_db": float("nan")}, ["upload_snr_db", "got nan"]),
        ({"training.first_decoders": "both"}, ["training.first_decoders", "'own'", "got 'both'"]),
    ],
)
def test_what_cannot_be_is_refused(overrides, words):
    with pytest.raises(ScenarioError) as error:
        load("task-clustering", **overrides)
    for word in words:
        assert word in str(error.value)
