"""Flat observations of large constellations: what they take is told before anything is played."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer

from satfl_agents import Assignment, load_hyperparameters
from satfl_agents.training import width
from satfl_env.scenarios import load

FLAT = {"observation": "scaled", "network.kind": "layers"}


def assignment(algo: str, **changes) -> Assignment:
    return Assignment(load("leo-multitask"), algo, load_hyperparameters(algo, "leo-multitask", FLAT | changes))


@pytest.mark.parametrize(
    ("algo", "buffer", "changes"),
    [("ppo", RolloutBuffer, {"learner.n_steps": 16}), ("sac", ReplayBuffer, {"learner.buffer_size": 64})],
)
def test_what_is_kept_is_what_the_buffers_of_the_library_hold(algo, buffer, changes):
    asked = assignment(algo, envs=2, **changes)
    space, action = spaces.Box(-1, 1, (512,), np.float32), spaces.Box(-1, 1, (3,), np.float32)
    size = changes.get("learner.n_steps") or changes["learner.buffer_size"]
    made = buffer(size, space, action, device="cpu", n_envs=2)
    arrays = [made.observations, *([made.next_observations] if buffer is ReplayBuffer else [])]
    assert width.observations_kept(asked) == sum(array.size for array in arrays) // 512
    layers = 512 * 2 * asked.hyperparameters.network.hidden[0] * 16
    assert width.needed_bytes(asked, 512) == sum(array.nbytes for array in arrays) + layers


def test_only_wide_flat_observations_are_told(monkeypatch):
    assert width.told_width(assignment("ppo")) == ""
    monkeypatch.setattr(width, "WIDE", 500)
    assert width.told_width(assignment("ppo", observation="sets", **{"network.kind": "sets"})) == ""
    told = width.told_width(assignment("ppo"))
    assert told.startswith("observations of the form 'scaled' have 512 numbers each, of which ppo keeps ")
    assert "--hyper observation=sets" in told


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(width, "WIDE", 500)
    monkeypatch.setattr("satfl_env.memory.available_bytes", lambda: 1e6)
    with pytest.raises(ValueError, match=r"need .* GB of memory, 0\.001 GB are available; --hyper observation=sets"):
        width.told_width(assignment("ppo"))
