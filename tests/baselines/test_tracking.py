"""Curves for trackers: the numbers of the tables, for a tracker of the test, TensorBoard and Weights & Biases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from satfl_baselines import tracking
from satfl_baselines.results import finished
from satfl_env.commands import make_app

FAST = ("--set", "training.engine=none", "--set", "rounds.episode=2")


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(make_app(), list(arguments))
    assert result.exit_code == exit_code, result.output
    return result.stderr


class Kept:
    """Keeps what it is given."""

    runs: dict[str, Kept]

    def __init__(self, folder: Path, name: str, config, first_step: int) -> None:
        self.folder, self.config, self.first_step = folder, config, first_step
        self.points: list[tuple[int, dict[str, float]]] = []
        self.finished = False
        Kept.runs[name] = self

    def log(self, step, numbers) -> None:
        assert not self.finished
        self.points.append((step, dict(numbers)))

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def kept(monkeypatch) -> dict[str, Kept]:
    Kept.runs = {}
    monkeypatch.setitem(tracking.TRACKERS, "wandb", Kept)
    monkeypatch.setattr(tracking, "find_spec", lambda name: name)
    return Kept.runs


def test_a_comparison_gives_means_over_seeds_for_every_policy(kept, tmp_path):
    run("compare", *FAST, "--seeds", "2", "--policies", "full,random", "--track", "wandb", "--out", str(tmp_path))
    assert list(kept) == ["full", "random"]
    episodes = finished(tmp_path).episodes
    for policy, own in kept.items():
        assert own.finished
        assert own.config["policy"] == policy
        assert own.config["scenario"]["name"] == "leo-multitask"
        assert [step for step, _ in own.points] == [0, 1, 2]
        for step, numbers in own.points:
            for name in ("balanced_accuracy", "test_loss", "energy_j", "reward"):
                records = [episode[step] for run, episode in episodes.items() if run.policy == policy]
                assert numbers[name] == np.mean([record[name] for record in records])
            assert all(map(np.isfinite, numbers.values()))


def test_an_evaluation_gives_the_curves_of_its_scenarios(kept, tmp_path):
    run("evaluate", *FAST, "--seeds", "2", "--against", "full,random", "--track", "wandb", "--out", str(tmp_path))
    assert set(kept) == {"full", "random"}
    assert {own.folder for own in kept.values()} == {tmp_path / "leo-multitask"}


def test_a_learner_gives_its_numbers_to_all(kept, tmp_path):
    cem = [word for name in ("population=3", "elite=1", "episodes=1") for word in ("--hyper", f"learner.{name}")]
    small = ("--algo", "cem", "--rounds", "6", "--hyper", "validation.seeds=1", *cem)
    run("train", *FAST, *small, "--track", "wandb", "--out", str(tmp_path / "run"))
    (own,) = kept.values()
    assert own.finished
    assert (own.folder, own.config["rounds"]) == (tmp_path / "run", 6)
    judged = json.loads((tmp_path / "run" / "validation.json").read_text())
    told = [numbers["validation/gap"] for _, numbers in own.points if "validation/gap" in numbers]
    assert told == [record["gap"] for record in judged]
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_tensorboard_has_the_curves(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):  # what is there already does not count twice
        run("compare", *FAST, "--seeds", "1", "--policies", "full", "--track", "tensorboard", "--out", str(tmp_path))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard" / "full"))
    events.Reload()
    points = events.Scalars("balanced_accuracy")
    (episode,) = finished(tmp_path).episodes.values()
    assert [point.step for point in points] == [0, 1, 2]
    assert [point.value for point in points] == pytest.approx([record["balanced_accuracy"] for record in episode])


def test_weights_and_biases_writes_a_run_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run("compare", *FAST, "--seeds", "1", "--policies", "full,random", "--track", "wandb", "--out", str(tmp_path))
    runs = list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(runs) == 2
    assert all(b"balanced_accuracy" in file.read_bytes() for file in runs)


@pytest.mark.parametrize("command", ["compare", "evaluate", "train"])
def test_a_missing_library_is_told_before_anything_is_played(command, monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    told = run(command, "--track", "wandb", "--out", str(tmp_path / "out"), exit_code=1)
    assert told == "error: --track wandb needs a library that is not installed: pip install -e '.[track]'\n"
    assert not (tmp_path / "out").exists()
