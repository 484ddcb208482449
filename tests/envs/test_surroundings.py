"""What belongs to the user's session is as it was after everything that an environment does, imports included."""

from __future__ import annotations

import subprocess
import sys

import pytest

from satfl_env import builtin

# Gymnasium comes first: what it and NumPy change is their own.
CODE = """
import gc, locale, logging, multiprocessing, os, random, signal, sys, threading, warnings
import gymnasium as gym
import numpy as np

def session():
    found = {
        "random": random.getstate(),
        "numpy": repr((np.random.get_state(legacy=False), np.geterr(), np.get_printoptions())),
        "environ": dict(os.environ),
        "warnings": (list(warnings.filters), warnings.showwarning, warnings.formatwarning),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "logging": (list(logging.root.handlers), logging.root.level, logging.root.manager.disable),
        "hooks": (sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook, sys.gettrace()),
        "paths": (list(sys.path), os.getcwd()),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval()),
        "garbage": (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        "processes": multiprocessing.get_start_method(allow_none=True),
        "locale": locale.setlocale(locale.LC_ALL),
    }
    if torch := sys.modules.get("torch"):
        found["torch"] = (torch.get_rng_state().tolist(), torch.get_num_threads(), torch.get_default_dtype(),
            torch.get_default_device(), torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled(),
            torch.get_float32_matmul_precision())
    if matplotlib := sys.modules.get("matplotlib"):
        found["matplotlib"] = {name: matplotlib.rcParams._get(name) for name in matplotlib.rcParams}
    return found

def check(what):
    global before
    after = session()
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, (what, changed)
    before = after

before = session()
"""

PLAY = """
def play(scenario, overrides, **options):
    overrides = {"rounds.episode": 1, "data.test_samples": 3, **overrides}
    env = gym.make("SatFL-v0", scenario=scenario, overrides=overrides, render_mode="rgb_array", **options)
    check(("make", scenario))
    _, info = env.reset(seed=0)
    check(("reset", scenario))
    action = env.action_space.sample() | {"association": info["action_mask"]["association"].argmax(axis=1)}
    env.step(action)
    check(("step", scenario))
    env.render()
    check(("render", scenario))
    env.close()
    check(("close", scenario))

def play_many(**options):
    overrides = {"rounds.episode": 1, "training.engine": "none"}
    envs = gym.make_vec("SatFL-v0", 2, vectorization_mode="vector_entry_point", overrides=overrides, **options)
    check(("make_vec", options))
    envs.reset(seed=0)
    envs.step(envs.action_space.sample())
    envs.close()
    check(("vector environments", options))
"""
TRAIN = {"training.max_epochs": 1, "training.round_share": 1e-3}


def run(*lines: str) -> None:
    """Run code in a process where nothing has been imported yet."""
    code = "\n".join((CODE, PLAY, "import satfl_env", "check('import')", *lines))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]


def test_nothing_of_the_session_is_changed_by_an_environment():
    physics = ["play_many()", "play('sentinel', {'training.engine': 'none'})"]
    trained = [
        f"play('task-clustering-mini', {TRAIN | {'training.engine': 'loop'}})",
        f"play('semspacefl-mini', {TRAIN | {'model': {'kind': 'swin-jscc'}}})",
    ]
    run(*physics, *trained)


@pytest.mark.slow
def test_nothing_of_the_session_is_changed_by_any_scenario():
    untested = {"semspacefl": {"model.channel.final_snrs_db": []}}
    names = set(builtin.names()) - {"mega-shell"}  # `starlink-shell` does the same in a tenth of the time
    run(*(f"play({name!r}, {{'training.engine': 'none'}} | {untested.get(name, {})})" for name in sorted(names)))


def test_a_model_of_ones_own_is_trained_in_an_unchanged_session():
    run(
        "from satfl_env import Classifier",
        "check('names')",
        "from torch import nn",
        "model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))",
        "before = session()",
        f"play('leo-multitask', {TRAIN}, parts={{'model': model}})",
    )


@pytest.mark.slow
def test_worker_processes_are_started_in_an_unchanged_session():
    run("play_many(workers=2)", "play('task-clustering-mini', {'training.engine': 'processes', 'training.workers': 2})")
