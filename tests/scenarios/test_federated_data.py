"""Data parts: what they hand out, and that a plain module learns from images of somebody's own."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from satfl_baselines import make_policy
from satfl_env import Classifier, FederatedImages
from satfl_env.data import load_images, places_under_track
from satfl_env.federated import LocalData
from satfl_env.orbits import ConstellationScene, ground_track, site, walker
from satfl_env.scenarios import build, load
from satfl_env.scenarios.partitions import GroundTrackPartition

RNG = np.random.default_rng(1)
IMAGES = RNG.random((60, 1, 4, 4)).astype(np.float32)
LABELS = np.arange(60) % 3
TRAIN, TEST = (IMAGES[:40], LABELS[:40]), (IMAGES[40:], LABELS[40:])
SCENE = SimpleNamespace(num_satellites=4)
TASKS = [
    {"name": "first", "classes": [0], "positive_share": 0.5},
    {"name": "others", "classes": [2, 1], "positive_share": 0.5},
]


def make(partition: dict, **options):
    return FederatedImages(TRAIN, TEST, partition=partition, **options)


def label_of(image: torch.Tensor) -> int:
    (found,) = np.flatnonzero((image.numpy() == IMAGES).all(axis=(1, 2, 3)))
    return int(LABELS[found])


@pytest.mark.parametrize(
    ("partition", "samples", "most"),
    [
        ({"kind": "equal"}, [10] * 4, 40),
        ({"kind": "equal", "total_samples": 22}, [6, 6, 5, 5], 22),
        ({"kind": "counts", "counts": [1, 2, 3, 4]}, [1, 2, 3, 4], 10),
        ({"kind": "dirichlet", "alpha": 1.0, "total_samples": 30}, None, 30),
        ({"kind": "tasks", "tasks": TASKS, "samples": [5, 8]}, None, 8),
    ],
)
def test_satellites_get_the_images_with_their_labels(partition: dict, samples: list[int] | None, most: int):
    part = make(partition, test_samples=7)
    data = part(SCENE, np.random.default_rng(3))
    assert samples in (None, data.train.samples.tolist())
    assert data.train.samples.max() <= part.max_samples == most
    assert part.image_shape == (1, 4, 4)
    assert data.test_images.shape == (7, 1, 4, 4)
    assert torch.allclose(data.test_weights.sum(dim=1), torch.ones(4))
    assert data.label_pmf.sum(axis=1) == pytest.approx(1.0)
    if partition["kind"] == "tasks":
        return
    assert data.train.targets.tolist() == [label_of(image) for image in data.train.images]
    assert data.test_targets.tolist() == [[label_of(image) for image in data.test_images]] * 4
    assert (part.num_outputs, data.tasks) == (3, ())
    if partition["kind"] != "tasks":
        assert len({image.numpy().tobytes() for image in data.train.images}) == len(data.train.images), "nobody shares"


def test_satellites_serve_tasks_in_turn():
    part = make({"kind": "tasks", "tasks": TASKS, "samples": [5, 8]})
    data = part(SCENE, np.random.default_rng(3))
    assert data.tasks == ("first", "others", "first", "others")
    assert part.num_outputs == 3
    assert data.train.output_mask.tolist() == [[True, True, False], [True, True, True]] * 2
    outputs = {"first": {0: 0, 1: 1, 2: 1}, "others": {2: 0, 1: 1, 0: 2}}
    for satellite, task in enumerate(data.tasks):
        own = slice(*data.train.offsets[satellite : satellite + 2])
        labels = [label_of(image) for image in data.train.images[own]]
        assert data.train.targets[own].tolist() == [outputs[task][label] for label in labels]
        labels = [label_of(image) for image in data.test_images]
        assert data.test_targets[satellite].tolist() == [outputs[task][label] for label in labels]


def test_equal_seeds_give_equal_data():
    first, again, other = (make({"kind": "equal"})(SCENE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.train.images, again.train.images)
    assert not torch.equal(first.train.images, other.train.images)


@pytest.mark.parametrize(
    ("partition", "options", "words"),
    [
        ({"kind": "dirichlet", "alpha": -1.0}, {}, r"partition\.alpha: .*greater than 0, got -1\.0"),
        ({"kind": "halves"}, {}, r"partition.kind: must be one of .*'dirichlet', .*'halves'"),
        ({"kind": "equal"}, {"test_samples": 0}, "test_samples must be at least 1, got 0"),
        ({"kind": "ground-track"}, {}, r"^partition\.kind 'ground-track' needs .*places_deg, got None"),
        (
            {"kind": "tasks", "tasks": [{**TASKS[0], "classes": [5]}], "samples": [5, 8]},
            {},
            r"^partition\.tasks\.0\.classes: must lie in 0\.\.2 .* got \[5\]",
        ),
    ],
)
def test_what_does_not_fit_the_images_is_told_at_once(partition: dict, options: dict, words: str):
    with pytest.raises(ValueError, match=words):
        make(partition, **options)


@pytest.mark.parametrize(
    ("partition", "options", "words"),
    [
        ({"kind": "counts", "counts": [1, 2]}, {}, r"^partition\.counts must have 4 entries .* got 2"),
        (
            {"kind": "equal", "total_samples": 3},
            {},
            r"^partition\.total_samples: 3 samples cannot give 4 satellites",
        ),
        ({"kind": "equal", "total_samples": 41}, {}, r"^partition\.total_samples must be at most 40, got 41"),
        ({"kind": "ground-track"}, {"places_deg": np.zeros((40, 2))}, r"needs orbits around the Earth, got a Simple"),
    ],
)
def test_what_does_not_fit_the_satellites_is_told_at_the_call(partition: dict, options: dict, words: str):
    with pytest.raises(ValueError, match=words):
        make(partition, **options)(SCENE, np.random.default_rng(0))


def test_own_images_lie_under_ground_tracks():
    simulation = build(load("walker-earth", **{"training.engine": "none"}))
    places = np.stack(np.meshgrid(np.linspace(-60, 60, 8), np.linspace(-170, 170, 5)), axis=-1).reshape(-1, 2)
    partition = {"kind": "ground-track", "swath_m": 1e6, "max_samples": 9}
    scene = simulation.ingredients.scene(np.random.default_rng(0))
    data = make(partition, places_deg=places)(scene, np.random.default_rng(0))
    assert len(data.train.samples) == scene.num_satellites
    assert 1 <= data.train.samples.min() <= data.train.samples.max() <= 9


def test_a_wide_swath_is_as_exact_as_a_track_in_small_steps():
    swath_m, span_s, sun_deg = 15e6, 20_000.0, 10.0
    orbits = walker(2, 2, 0, altitude_m=600e3, inclination_deg=97.8, epoch="2026-03-20T00:00:00")
    rng = np.random.default_rng(0)
    places = np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, 4000))), rng.uniform(-180, 180, 4000)])
    partition = GroundTrackPartition(swath_m=swath_m, span_s=span_s, min_sun_elevation_deg=sun_deg, max_samples=4000)
    images = SimpleNamespace(train_places_deg=places)
    shards = partition.shards(images, ConstellationScene(orbits, [site("Kourou")]), rng)
    track = vars(ground_track(orbits, -np.linspace(0.0, span_s, 1001)))
    exact = places_under_track(places, **track, swath_m=swath_m, min_sun_elevation_deg=sun_deg)
    assert [len(np.setxor1d(*pair)) for pair in zip(shards, exact, strict=True)] == [0, 0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label_pmf": np.ones((3, 1))}, r"label_pmf has shape \(3,\); expected \(4,\)"),
        ({"test_targets": torch.zeros(4, 19)}, r"test_targets has shape \(4, 19\); expected \(4, 20\)"),
        ({"test_weights": torch.zeros(3, 20)}, r"test_weights has shape \(3, 20\); expected \(4, 20\)"),
        ({"tasks": ("a", "b")}, r"tasks has shape \(2,\); expected \(4,\)"),
        ({"test_images": torch.zeros(0, 1, 4, 4)}, "test_images is empty"),
        (
            {"train": LocalData(torch.zeros(2, 1), torch.zeros(2), np.array([0, 1, 1, 2, 2]))},
            r"without a sample: \[1 3\]",
        ),
    ],
)
def test_data_of_somebody_s_own_must_fit_together(changes: dict, words: str):
    with pytest.raises(ValueError, match=words):
        replace(make({"kind": "equal"})(SCENE, np.random.default_rng(0)), **changes)


@pytest.mark.parametrize("engine", ["auto", "loop"])
def test_a_plain_module_learns_to_tell_images_of_somebody_s_own_apart(engine: str):
    digits = load_images("digits")
    data = FederatedImages(
        (digits.train_images, digits.train_labels),
        (digits.test_images, digits.test_labels),
        partition={"kind": "dirichlet", "alpha": 10.0, "total_samples": 400},
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    scenario = load("leo-multitask", **{"training.engine": engine, "training.learning_rate": 1e-2, "rounds.episode": 6})
    simulation = build(scenario, parts={"data": data, "model": Classifier(network)})
    policy, state = make_policy("full"), simulation.reset(0)
    first = simulation.test.metrics["accuracy"].mean()
    while not simulation.finished:
        state, report = simulation.step(policy(state))
    assert first < 0.2
    assert report.metrics["accuracy"].mean() > 0.6
