from __future__ import annotations

import numpy as np
import pytest
import yaml
from PIL import Image

from satfl_baselines import run_episode
from satfl_env import scenarios
from satfl_env.data import NUM_CLASSES, load_images
from satfl_env.envs import SatFLEnv
from satfl_env.federated import ENGINES, LoopTrainer
from satfl_env.scenarios import ScenarioError, Target

SWIN = {"kind": "swin-jscc", "patch": 4, "width": 8, "head_width": 4, "depths": (1, 1)}


@pytest.mark.parametrize(
    ("name", "metrics"), [("leo-multitask", "accuracy, balanced_accuracy"), ("semspacefl-mini", "psnr_db, ms_ssim")]
)
def test_a_target_that_is_no_metric_is_told_before_the_first_round(name, metrics):
    overrides = {"training.engine": "none", "data.test_samples": 4, "target": {"metric": "nope", "value": 1}}
    words = rf"target\.metric must be one of {metrics}, got 'nope'"
    with pytest.raises(ValueError, match=words):
        SatFLEnv(name, overrides)
    with pytest.raises(ValueError, match=words):
        run_episode(scenarios.load(name, **overrides), "full", 0)


@pytest.mark.parametrize("name", ["leo-multitask", "semspacefl-mini"])
def test_the_metrics_of_a_section_are_those_of_its_model(name):
    scenario = scenarios.load(name, **{"training.engine": "none", "data.test_samples": 4})
    simulation = scenarios.build(scenario)
    simulation.reset(0)
    assert scenario.model.metrics == tuple(simulation.test.metrics)


@pytest.mark.parametrize("source", ["digits", "mnist", "blue-marble"])
def test_classes_that_a_source_does_not_have_are_refused_at_loading(source):
    number = NUM_CLASSES[source]
    tasks = [{"name": "a", "classes": [number], "positive_share": 0.5}]
    partition = {"kind": "tasks", "tasks": tasks, "samples": [5, 8]}
    words = rf"data\.partition\.tasks\.0\.classes: must lie in 0\.\.{number - 1} with these images, got \[{number}\]"
    with pytest.raises(ScenarioError, match=words):
        scenarios.load("leo-multitask", **{"data": {"source": source, "partition": partition}})


@pytest.mark.parametrize("source", ["digits", "blue-marble"])
def test_sources_have_the_classes_that_are_known_of_them(source):
    assert len(load_images(source).class_names) == NUM_CLASSES[source]


def test_a_target_is_reached_by_the_mean_over_satellites():
    target = Target(metric="accuracy", value=0.5)
    assert target.reached({"accuracy": np.array([0.2, 0.8])})
    assert not target.reached({"accuracy": np.array([0.2, 0.79])})


def test_a_scenario_is_given_by_name_path_or_itself(tmp_path):
    scenario = scenarios.load("leo-multitask", **{"training.engine": "none", "data.test_samples": 4})
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(scenario.model_dump(mode="json")))
    expected = scenarios.build(scenario).reset(0)
    for given in (path, str(path)):
        np.testing.assert_array_equal(scenarios.build(given).reset(0).energy_j, expected.energy_j)
    assert scenarios.build("leo-multitask").reset(0).num_satellites == 10
    assert scenarios.resolve(path, {"rounds.episode": 7}).rounds.episode == 7
    with pytest.raises(ValueError, match="overrides go with a scenario's name or path"):
        scenarios.resolve(scenario, {"rounds.episode": 7})


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("leo-multitask", {"data.partition.samples": [9000, 9000]}, ["data.partition.samples: ", "label 2", "only"]),
        (
            "leo-multitask",
            {"data.partition.tasks": [{"name": "A", "classes": [3, 11], "positive_share": 0.5}]},
            ["data.partition.tasks.0.classes: must lie in 0..9", "got [3, 11]"],
        ),
        (
            "semspacefl-mini",
            {"data.partition": {"kind": "equal", "total_samples": 5}},
            ["data.partition.total_samples: 5 samples cannot give 10 satellites"],
        ),
        (
            "semspacefl-mini",
            {"data.partition": {"kind": "equal", "total_samples": 10**6}},
            ["data.partition.total_samples must be at most", "got 1000000"],
        ),
        (
            "semspacefl-mini",
            {"data.partition": {"kind": "counts", "counts": [1000] * 10}},
            ["data.partition.counts: ", "in sum at most"],
        ),
        (
            "semspacefl-mini",
            {"data.partition": {"kind": "counts", "counts": [1, 2]}},
            ["data.partition.counts must have 10 entries (satellites), got 2"],
        ),
        (
            "semspacefl-mini",
            {"data.partition.min_samples": 900},
            ["data.partition.min_samples: ", "samples cannot give"],
        ),
        (
            "semspacefl-mini",
            {"data.source": "digits", "model": {**SWIN, "patch": 8}},
            ["model: image_shape is (1, 8, 8)", "multiples of 16"],
        ),
        ("semspacefl-mini", {"model": {**SWIN, "bandwidth_ratio": 1e-4}}, ["model: bandwidth_ratio is 0.0001"]),
        ("semspacefl-mini", {"model": {**SWIN, "head_width": 7}}, ["model: head_width is 7", "divide width 8"]),
        (
            "semspacefl-mini",
            {"training.engine": "compiled"},
            ["training.engine must not be 'compiled' for ConvJSCC, which has no kernel"],
        ),
        ("leo-multitask", {"training.device": "cuda:99"}, ["training.device: ", "'cuda:99'", "PyTorch sees cpu"]),
    ],
)
def test_what_does_not_fit_the_images_names_its_field(name, overrides, words):
    with pytest.raises(ScenarioError) as error:
        scenarios.build(scenarios.load(name, **overrides)).reset(0)
    for word in words:
        assert word in str(error.value)


def test_counts_are_those_of_the_scene_that_there_is():
    scenario = scenarios.load(
        "semspacefl-mini", **{"data.partition": {"kind": "counts", "counts": [5, 6]}, "training.engine": "none"}
    )
    circle = {"radius_m": 1e6, "satellites": 2}
    pair = scenarios.load("semspacefl-mini", **{"constellation.circles": [circle]}).constellation
    assert scenarios.build(scenario, parts={"scene": pair.scenes(scenario.rounds)}).reset(0).samples.tolist() == [5, 6]


def test_images_of_your_own_lie_in_a_folder_of_the_data_folder(tmp_path):
    for name in ("land", "sea"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (9, 8), (number, 0, 0)).save(tmp_path / "mine" / name / f"{number}.png")
    mine = {"source": "image-folder", "data_dir": str(tmp_path), "folder": "mine", "image_size": 8}
    partition = {"kind": "counts", "counts": [1] * 10}
    changes = {"data": {**mine, "partition": partition}, "training.engine": "none"}
    simulation = scenarios.build(scenarios.load("semspacefl-mini", **changes))
    assert simulation.reset(0).samples.tolist() == [1] * 10
    assert simulation.label_pmf.shape == (10, 2)
    with pytest.raises(ScenarioError, match=r"data\.folder does not go with source '\w+': 'image-folder' alone has it"):
        scenarios.load("leo-multitask", **{"data.folder": "mine"})


def test_engines_of_your_own_can_be_named(monkeypatch):
    class Mine(LoopTrainer):
        needs_cpu = True

    monkeypatch.setitem(ENGINES, "mine", Mine)
    scenario = scenarios.load("leo-multitask", **{"training.engine": "mine"})
    assert type(scenarios.build(scenario).trainer) is Mine
    with pytest.raises(ScenarioError, match=r"training\.device must be 'cpu' with engine 'mine', got 'cuda'"):
        scenarios.load("leo-multitask", **{"training.engine": "mine", "training.device": "cuda"})


def test_a_scenario_may_name_a_device_that_only_another_machine_has():
    assert scenarios.load("leo-multitask", **{"training.device": "cuda:99"}).training.device == "cuda:99"


def test_a_missing_data_folder_names_the_field(monkeypatch):
    monkeypatch.delenv("SATFL_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"mnist: .*data\.data_dir.*SATFL_DATA"):
        scenarios.build(scenarios.load("leo-multitask", **{"data.source": "mnist"}))
