"""A run that was killed goes on to the same curve and the same policy, bit for bit."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3")
from satfl_agents import Hyperparameters, load_hyperparameters
from satfl_agents.hyperparameters.reading import with_changes
from satfl_agents.training.assignment import Assignment
from satfl_agents.training.learning import learn
from satfl_agents.training.run_folder import RunFolder
from satfl_agents.training.validation import Validator
from satfl_env import SatFLEnv
from satfl_env.scenarios import Scenario, load
from tests.factories import physics_only

ROUNDS = 40
LEFT = ("curve.csv", "validation.csv", "policy/policy.json", "policy/weights.safetensors")
PHYSICS = physics_only(3)
LEARNING = load("leo-multitask", **{"rounds.episode": 3, "training.max_epochs": 2})
QUICK: dict[str, Any] = {
    "rounds": ROUNDS,
    "envs": 2,
    "validation": {"seeds": 1, "every": 15, "rules": ["full"]},
    "network": {"hidden": [8]},
    "checkpoint_every": 7,
}
ON_POLICY = {"learner": {"n_steps": 4, "batch_size": 4, "n_epochs": 2}}
OFF_POLICY = {"learner": {"learning_starts": 20, "batch_size": 8, "train_freq": 1, "gradient_steps": 2}}
CASES = {
    "ppo": (LEARNING, ON_POLICY | {"normalise_reward": True}),
    "maskable-ppo": (PHYSICS, ON_POLICY),
    "recurrent-ppo": (PHYSICS, ON_POLICY),
    "sac": (PHYSICS, OFF_POLICY),
    "td3": (PHYSICS, OFF_POLICY | {"normalise_reward": True}),
    "tqc": (PHYSICS, OFF_POLICY),
    "cem": (LEARNING, {"learner": {"population": 2, "elite": 1, "episodes": 1}}),
}


class Killed(BaseException):
    """Stands for the end of a process."""


def settings_of(algo: str) -> tuple[Scenario, Hyperparameters]:
    scenario, more = CASES[algo]
    return scenario, load_hyperparameters(algo, scenario.name, QUICK | more)


def play(
    algo: str,
    path: Path,
    rules: Path,
    *,
    seed: int = 0,
    kill_at: int = 10**9,
    workers: int = 1,
    **changes: int,
) -> RunFolder:
    """Train in a folder; it ends before round `kill_at`."""
    scenario, settings = settings_of(algo)
    settings = with_changes(settings, changes)
    folder = RunFolder(path, scenario, settings, algo=algo, seed=seed)
    told: list[str] = []
    played = [(0, 0)]

    def progress(done: int, all_rounds: int) -> None:
        if done >= kill_at:
            raise Killed
        played.append((done, all_rounds))

    assignment = Assignment(scenario, algo, settings, seed, workers=workers)
    validator = Validator(scenario, settings.validation, rules, {})
    learn(assignment, folder, validator, progress=progress, tell=told.append)
    # The rounds that are announced are those that are played, in whole rollouts.
    (all_rounds,) = {total for _, total in played[1:]}
    assert settings.rounds <= played[-1][0] == all_rounds
    assert any(line.startswith(f"round {all_rounds} of {all_rounds}: ") for line in told)
    return folder


def left_by(folder: RunFolder) -> dict[str, bytes]:
    return {name: (folder.path / name).read_bytes() for name in LEFT}


@pytest.mark.parametrize("algo", CASES)
def test_killed_runs_go_on_to_the_same_curve_and_policy(tmp_path: Path, algo: str) -> None:
    whole = play(algo, tmp_path / "whole", tmp_path / "rules")
    for kill_at in (12, 30):
        with pytest.raises(Killed):
            play(algo, tmp_path / "killed", tmp_path / "rules", kill_at=kill_at)
    assert not RunFolder(tmp_path / "killed", *settings_of(algo), algo=algo, seed=0).finished
    killed = play(algo, tmp_path / "killed", tmp_path / "rules", checkpoint_every=11)
    assert killed.finished
    assert left_by(whole) == left_by(killed)


def test_folders_go_on_whatever_the_rounds_between_checkpoints_are(tmp_path: Path) -> None:
    scenario, settings = settings_of("ppo")
    RunFolder(tmp_path, scenario, settings, algo="ppo")
    config = json.loads((tmp_path / "config.json").read_text())
    assert "checkpoint_every" not in config["hyperparameters"]
    # Folders written earlier have it among what results depend on.
    config["hyperparameters"]["checkpoint_every"] = 7
    (tmp_path / "config.json").write_text(json.dumps(config))
    RunFolder(tmp_path, scenario, with_changes(settings, {"checkpoint_every": 9}), algo="ppo")
    with pytest.raises(ValueError, match=r"hyperparameters\.envs is 2 there and 3 here"):
        RunFolder(tmp_path, scenario, with_changes(settings, {"envs": 3}), algo="ppo")


def test_settings_that_do_not_fit_each_other_are_told_in_a_line(tmp_path: Path) -> None:
    for algo, changes, message in (
        ("ppo", {"learner.batch_size": 1}, "^hyperparameters learner: `batch_size` must be greater than 1"),
        ("cem", {"learner.elite": 3}, r"learner\.elite must be at most the population 2, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            play(algo, tmp_path / algo, tmp_path / f"rules-{algo}", **changes)


def test_the_seed_decides_and_leaves_the_users_generators_alone(tmp_path: Path) -> None:
    random.seed(1)
    first = play("ppo", tmp_path / "first", tmp_path / "rules")
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    before = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), torch.get_num_threads()  # noqa: NPY002
    again = play("ppo", tmp_path / "again", tmp_path / "rules")
    assert before == (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), torch.get_num_threads())  # noqa: NPY002
    other = play("ppo", tmp_path / "other", tmp_path / "rules", seed=1)
    assert left_by(first) == left_by(again)
    assert left_by(first)["curve.csv"] != left_by(other)["curve.csv"]


def test_a_damaged_checkpoint_and_a_second_process_are_told(tmp_path: Path) -> None:
    folder = play("ppo", tmp_path / "run", tmp_path / "rules")
    with folder.in_use(), pytest.raises(OSError, match="another process trains in folder"):
        play("ppo", tmp_path / "run", tmp_path / "rules")
    checkpoint = folder.path / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"checkpoint\.pt' is damaged"):
        play("ppo", tmp_path / "run", tmp_path / "rules")


def test_an_environment_goes_back_to_a_state() -> None:
    env, other = SatFLEnv(LEARNING), SatFLEnv(LEARNING)
    env.reset(seed=5)
    env.action_space.seed(1)
    actions = [env.action_space.sample() for _ in range(2)]
    env.step(actions[0])
    state = env.get_state()
    observation, *rest = env.step(actions[1])
    other.set_state(state)
    seen, *again = other.step(actions[1])
    for key, value in observation.items():
        np.testing.assert_array_equal(seen[key], value)
    assert again[:3] == rest[:3]
    env.step(actions[0]), other.step(actions[0])
    np.testing.assert_array_equal(env.reset()[1]["seed"], other.reset()[1]["seed"])


@pytest.mark.slow
def test_processes_change_nothing(tmp_path: Path) -> None:
    alone = play("recurrent-ppo", tmp_path / "alone", tmp_path / "rules")
    with pytest.raises(Killed):
        play("recurrent-ppo", tmp_path / "divided", tmp_path / "rules", kill_at=20, workers=2)
    divided = play("recurrent-ppo", tmp_path / "divided", tmp_path / "rules", workers=2)
    assert left_by(alone) == left_by(divided)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    rng, whole, killed = random.Random(0), tmp_path / "whole", tmp_path / "killed"

    def command(out: Path) -> list[str]:
        hyper = ("envs=2", "learner.n_steps=20", "learner.batch_size=20", "checkpoint_every=40")
        more = [
            word for change in (*hyper, "validation.every=200", "validation.seeds=2") for word in ("--hyper", change)
        ]
        run = "from satfl_env.commands import main; main()"
        return [sys.executable, "-c", run, "train", "--rounds", "600", *more, "--out", str(out)]

    def compare() -> None:
        subprocess.run(command(killed), check=True, capture_output=True)
        for name in LEFT:
            assert (killed / name).read_bytes() == (whole / name).read_bytes()

    started = time.monotonic()
    subprocess.run(command(whole), check=True, capture_output=True)
    lasted = time.monotonic() - started
    kills = 0
    while kills < 20:
        process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.0, lasted))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        elif process.returncode == 0:
            compare()
            shutil.rmtree(killed)
        process.wait()
    compare()
