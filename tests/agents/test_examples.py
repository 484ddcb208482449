"""The examples of learning."""

from __future__ import annotations

import importlib.util
import runpy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch

from satfl_agents import load_policy
from satfl_env import SatFLEnv
from satfl_env.wrappers import OneDecision

EXAMPLES = Path(__file__).parents[2] / "examples"
# Ray alone has RLlib's modules, but not what these import.
WITH_RLLIB = all(importlib.util.find_spec(name) for name in ("ray", "tensorboardX", "tree"))


def test_ppo_in_one_file_keeps_the_policy_that_it_has_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    example = runpy.run_path(str(EXAMPLES / "single_file_ppo.py"))
    kept = {}

    class Kept(example["Agent"]):
        def __init__(self, *args):
            super().__init__(*args)
            kept["agent"] = self

    monkeypatch.setitem(example["main"].__globals__, "Agent", Kept)
    changes = ["--rounds", "60", "--envs", "2", "--steps", "30", "--epochs", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["ppo", *changes])
    example["main"]()
    native = SatFLEnv()
    native.reset(seed=3)
    shown = OneDecision(native.observation_space, native.action_space)
    shown.simulation.state = native.simulation.state
    env = example["wrap"](shown)
    observation, _ = env.reset()
    with torch.no_grad():
        env.step(kept["agent"].actor(torch.as_tensor(observation)).clamp(-1.0, 1.0).numpy())
    decision = load_policy(tmp_path)(native.simulation.state)
    for name, values in vars(shown.decision).items():
        np.testing.assert_array_equal(getattr(decision, name), values)
    assert list(tmp_path.glob("events.*"))


@pytest.mark.skipif(WITH_RLLIB, reason="RLlib is installed")
def test_without_rllib_its_example_says_what_to_install():
    with pytest.raises(SystemExit, match=r"this example needs RLlib \(.*\): pip install 'ray\[rllib\]'"):
        runpy.run_path(str(EXAMPLES / "rllib_ppo.py"))


@pytest.mark.slow
@pytest.mark.skipif(not WITH_RLLIB, reason="RLlib is not installed")
def test_rllib_learns_on_sets_of_any_size(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    example = runpy.run_path(str(EXAMPLES / "rllib_ppo.py"))
    monkeypatch.setattr("sys.argv", ["rllib", "--rounds", "120", "--batch", "120", "--envs", "2"])
    example["main"]()
    assert "learnt: balanced accuracy 0." in capsys.readouterr().out
