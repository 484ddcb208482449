from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("optuna")
from satfl_agents import Assignment, load_hyperparameters
from satfl_agents.hyperparameters.reading import merged, read_file
from satfl_agents.training import tuning
from tests.factories import physics_only

SCENARIO = physics_only(2)
QUICK: dict[str, Any] = {"rounds": 8, "envs": 2, "validation": {"seeds": 1, "every": 8, "rules": ["full"]}}


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.fixture
def assignment() -> Assignment:
    return Assignment(SCENARIO, "ppo", load_hyperparameters("ppo", SCENARIO.name, QUICK))


def test_the_best_trial_is_found_kept_and_resumed(
    tmp_path: Path, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Assignment] = []
    folders: list[Path] = []

    def learn(one: Assignment, folder: Any, validator: Any) -> float:
        """A run that is the better, the lower its learning rate; the second one is killed."""
        tried.append(one)
        folders.append(folder.path)
        if len(tried) == 2:
            raise Killed
        return -one.hyperparameters.learner["learning_rate"]

    monkeypatch.setattr(tuning, "learn", learn)
    with pytest.raises(Killed):
        tuning.tune(assignment, tmp_path, 4)
    best = tuning.tune(assignment, tmp_path, 4)
    # The one that was killed is taken up again, in its folder; no finished one is.
    assert len(tried) == 5
    assert tried[1].hyperparameters == tried[2].hyperparameters
    assert folders[1] == folders[2]
    rates = [one.hyperparameters.learner["learning_rate"] for one in tried]
    assert best["learner.learning_rate"] == min(rates)
    tuning.tune(assignment, tmp_path, 4)
    assert len(tried) == 5

    trials = json.loads((tmp_path / "trials.json").read_text())
    assert len(trials) == 4
    assert all(trial["value"] == -trial["learner.learning_rate"] for trial in trials)
    section = yaml.safe_load((tmp_path / "best.yaml").read_text())["scenarios"][SCENARIO.name]
    assert section["tuned"] is True
    assert merged(read_file("ppo")["default"], section)["learner"]["learning_rate"] == min(rates)


def test_a_trial_is_a_run_on_seeds_for_tuning(tmp_path: Path, assignment: Assignment) -> None:
    told: list[str] = []
    tuning.tune(assignment, tmp_path, 1, tell=told.append)
    assert told[0].startswith("trial 0: ")
    assert (tmp_path / "trial-0" / "finished.json").exists()
