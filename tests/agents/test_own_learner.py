from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("stable_baselines3")
from satfl_agents import load_policy
from satfl_baselines import run_episode
from tests.factories import physics_only

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_learner.py"


def test_a_policy_that_was_trained_by_hand_is_kept_and_plays(tmp_path: Path) -> None:
    scenario = physics_only(4)
    file = tmp_path / "quick.yaml"
    file.write_text(yaml.safe_dump(scenario.model_dump(mode="json")))
    train = runpy.run_path(str(EXAMPLE))["train"]
    train(str(file), rounds=64, seed=3, out=tmp_path / "mine", n_steps=8)
    episode = run_episode(scenario, load_policy(tmp_path / "mine"), seed=1)
    assert np.isfinite(episode[-1]["balanced_accuracy"])
