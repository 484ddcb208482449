"""The specification of an environment as JSON makes the same environment again, wherever it is read."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from satfl_env.builtin import yaml_text
from satfl_env.orbits import samples
from satfl_env.scenarios import load
from satfl_env.scenarios.rounds import Rounds

PHYSICS = {"training.engine": "none", "rounds.episode": 2}


def made_again(env: Any, make: Any = gym.make) -> Any:
    return make(EnvSpec.from_json(env.spec.to_json()))


def first_loss(env: Any) -> Any:
    return env.reset(seed=3)[1]["satellite_test_loss"]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The path of an own scenario, relative to the current folder, which another one takes the place of later."""
    (tmp_path / "own.yaml").write_text(yaml_text("leo-multitask").replace("name: leo-multitask", "name: mine"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    return Path("own.yaml")


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_as_good_as_its_text(own, monkeypatch, kind):
    env = gym.make("SatFL-v0", scenario=kind(own), overrides=PHYSICS)
    monkeypatch.chdir("elsewhere")
    for again in (made_again(env), gym.make(pickle.loads(pickle.dumps(env.spec)))):
        assert again.unwrapped.scenario == env.unwrapped.scenario
        np.testing.assert_array_equal(first_loss(again), first_loss(env))


def test_overrides_of_every_kind_are_kept(own, monkeypatch):
    Path("mine.csv").write_bytes(samples()["polar-like"].read_bytes())
    epoch = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    overrides = {
        "constellation": {"elements": Path("mine.csv"), "epoch": epoch},
        "data.partition": {"kind": "dirichlet", "alpha": np.float32(0.5), "total_samples": np.int64(400)},
        "rounds": Rounds(episode=2),
        "training": {"engine": "none", "learning_rate": np.array(0.25)},
    }
    env = gym.make("SatFL-v0", scenario="sentinel", overrides=overrides)
    kept = json.loads(env.spec.to_json())["kwargs"]["overrides"]
    assert kept["constellation"] == {"elements": str(Path("mine.csv").absolute()), "epoch": "2026-01-01T00:00:00"}
    monkeypatch.chdir("elsewhere")
    assert made_again(env).unwrapped.scenario == env.unwrapped.scenario


def test_vector_environments_are_made_again(own, monkeypatch):
    options = {"num_envs": np.int64(2), "vectorization_mode": "vector_entry_point", "overrides": PHYSICS}
    envs, path = gym.make_vec("SatFL-v0", scenario=own, **options), str(own.absolute())
    monkeypatch.chdir("elsewhere")
    spec = EnvSpec.from_json(envs.spec.to_json())
    assert (spec.kwargs["scenario"], spec.kwargs["num_envs"]) == (path, 2)


def test_objects_stay_what_they_are():
    def reward(report: Any) -> float:
        return 0.0

    env = gym.make("SatFL-v0", scenario=load("leo-multitask", **PHYSICS), reward=reward)
    assert env.spec.kwargs["reward"] is reward
    assert gym.make(env.spec).unwrapped.scenario == env.unwrapped.scenario
