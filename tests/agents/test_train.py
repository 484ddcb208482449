from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys

import gymnasium as gym
import pytest
import yaml
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from typer.testing import CliRunner

from satfl_agents.results import RunFolder
from satfl_agents.train import FIRST_HELD_OUT_SEED, STEPS_PER_UPDATE, evaluate
from satfl_baselines import run_episode
from satfl_env import __version__
from satfl_env.commands import make_app
from satfl_env.scenarios import load
from tests.factories import physics_only

ROUNDS = 8


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory):
    """The default scenario with short episodes and without training."""
    scenario = physics_only(ROUNDS)
    path = tmp_path_factory.mktemp("scenario") / "quick.yaml"
    path.write_text(yaml.safe_dump(scenario.model_dump(mode="json")), encoding="utf-8")
    return path


def run(*arguments: object):
    result = CliRunner().invoke(make_app(), ["train", *map(str, arguments)])
    return result.exit_code, re.sub(r"\s+", " ", result.output)


@pytest.mark.parametrize(("algo", "learner"), [("ppo", PPO), ("maskable-ppo", MaskablePPO)])
def test_training_leaves_a_policy_a_curve_and_an_evaluation(tmp_path, scenario_file, algo, learner):
    out = tmp_path / "run"
    arguments = ("--algo", algo, "--scenario", scenario_file, "--steps", 50, "--seed", 3, "--out", out)
    code, output = run(*arguments)
    assert code == 0, output
    assert "return" in output
    assert "balanced accuracy" in output

    config = json.loads((out / "config.json").read_text())
    assert (config["algo"], config["steps"], config["seed"]) == (algo, 200, 3)
    assert config["version"] == __version__
    assert config["batches_per_epoch"] is None
    assert config["scenario"]["rounds"]["episode"] == ROUNDS

    with (out / "curve.csv").open() as file:
        curve = list(csv.DictReader(file))
    assert [int(row["step"]) for row in curve] == list(range(ROUNDS, STEPS_PER_UPDATE + 1, ROUNDS))
    assert {int(row["length"]) for row in curve} == {ROUNDS}

    evaluation = json.loads((out / "evaluation.json").read_text())
    assert [record["seed"] for record in evaluation] == [FIRST_HELD_OUT_SEED + index for index in range(5)]
    again = evaluate(learner.load(out / "policy.zip"), load(scenario_file), algo, [FIRST_HELD_OUT_SEED])
    assert again == evaluation[:1]

    references = json.loads((out / "references.json").read_text())
    assert list(references) == ["nearest-fedavg", "random"]
    nearest = run_episode(scenario_file, "nearest-fedavg", FIRST_HELD_OUT_SEED)
    first = references["nearest-fedavg"][0]
    assert first["return"] == pytest.approx(nearest[0]["test_loss"] - nearest[-1]["test_loss"])
    assert first["balanced_accuracy"] == nearest[-1]["balanced_accuracy"]

    policy = (out / "policy.zip").read_bytes()
    code, output = run(*arguments)
    assert code == 0
    assert "complete already" in output
    assert "nearest-fedavg" in output
    assert (out / "policy.zip").read_bytes() == policy
    code, output = run(*arguments, "--seed", 4)
    assert code == 2
    assert "belongs to another training run: seed is 3 there and 4 here" in output


def test_scenario_values_can_be_changed(tmp_path, scenario_file):
    out = tmp_path / "run"
    arguments = ("--scenario", scenario_file, "--steps", 10, "--out", out)
    code, output = run(*arguments, "--set", "rounds.episode=5", "--set", "training.batch_size=8")
    assert code == 0, output
    config = json.loads((out / "config.json").read_text())
    assert (config["scenario"]["rounds"]["episode"], config["scenario"]["training"]["batch_size"]) == (5, 8)
    assert {record["length"] for record in json.loads((out / "evaluation.json").read_text())} == {5}
    code, output = run(*arguments, "--set", "rounds.episodes=5")
    assert code == 2
    assert "did you mean 'episode'" in output


def test_folders_with_something_else_are_refused(tmp_path, scenario_file):
    (tmp_path / "thesis.tex").write_text("years of work")
    code, output = run("--scenario", scenario_file, "--out", tmp_path)
    assert code == 2
    assert "holds no training run" in output
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_interrupted_run_may_start_again(tmp_path, scenario_file):
    scenario = load(scenario_file)
    RunFolder(tmp_path, scenario, algo="ppo", steps=10, seed=0)
    again = RunFolder(tmp_path, scenario, algo="ppo", steps=10, seed=0)
    assert again.evaluation is None
    again.save(b"policy", [], [{"seed": 1, "return": 0.5}], {"random": [{"seed": 1, "return": 0.1}]})
    assert again.evaluation == [{"seed": 1, "return": 0.5}]
    assert again.references == {"random": [{"seed": 1, "return": 0.1}]}
    assert (tmp_path / "policy.zip").read_bytes() == b"policy"


def test_a_metric_that_is_not_finite_is_kept_in_valid_json(tmp_path, scenario_file):
    folder = RunFolder(tmp_path, load(scenario_file), algo="ppo", steps=10, seed=0)
    folder.save(b"policy", [], [{"seed": 1, "psnr_db": math.nan}], {})
    assert json.loads((tmp_path / "evaluation.json").read_text()) == [{"seed": 1, "psnr_db": None}]
    ((seed, psnr_db),) = (record.values() for record in folder.evaluation)
    assert seed == 1
    assert math.isnan(psnr_db)


def test_a_run_is_the_same_with_data_sets_in_another_place(tmp_path, scenario_file):
    for place in ({}, {"data.data_dir": "/one"}, {"data.data_dir": "/two"}):
        RunFolder(tmp_path, load(scenario_file, **place), algo="ppo", steps=10, seed=0)
    with pytest.raises(ValueError, match=r"scenario\.data\.test_samples is None there and 30 here"):
        RunFolder(tmp_path, load(scenario_file, **{"data.test_samples": 30}), algo="ppo", steps=10, seed=0)


def test_bad_input_is_named_and_leaves_no_folder(tmp_path, scenario_file):
    out = tmp_path / "run"
    code, output = run("--algo", "pop", "--scenario", scenario_file, "--out", out)
    assert code == 2
    assert "unknown algorithm 'pop'; there are: ppo, maskable-ppo" in output
    code, output = run("--scenario", "leo-multitusk", "--out", out)
    assert code == 2
    assert "did you mean 'leo-multitask'" in output
    assert not out.exists()


def test_a_missing_stable_baselines_is_told_with_a_way_out(tmp_path):
    code = (
        "import sys; sys.modules['stable_baselines3'] = None; sys.argv = ['satfl', 'train', '--out', sys.argv[1]]; "
        "from satfl_env.commands import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "pip install -e '.[agents]'" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module in the current folder with a reward and parts."""
    (tmp_path / "mine_train.py").write_text(
        "weights = {'loss_drop': 3.0}\nclass Model: pass\nparts = {'model': Model}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine_train", raising=False)


def test_an_own_reward_trains_tests_and_is_recorded(tmp_path, own_module, scenario_file):
    arguments = ("--scenario", scenario_file, "--steps", 10, "--out", tmp_path / "run")
    code, output = run(*arguments, "--reward", "mine_train:weights")
    assert code == 0, output
    assert json.loads((tmp_path / "run" / "config.json").read_text())["reward"] == {"loss_drop": 3.0}
    first = json.loads((tmp_path / "run" / "references.json").read_text())["nearest-fedavg"][0]
    nearest = run_episode(scenario_file, "nearest-fedavg", FIRST_HELD_OUT_SEED)
    assert first["return"] == pytest.approx(3 * (nearest[0]["test_loss"] - nearest[-1]["test_loss"]))
    code, output = run(*arguments)
    assert code == 2
    assert "another training run: reward.loss_drop is 3.0 there and None here" in output


def test_own_parts_reach_every_environment_and_are_recorded(tmp_path, own_module, scenario_file, monkeypatch):
    make, made = gym.make, []

    def record(*names, parts, **options):
        made.append(parts)
        return make(*names, **options)

    monkeypatch.setattr("satfl_agents.train.gym.make", record)
    out = tmp_path / "run"
    code, output = run("--scenario", scenario_file, "--steps", 10, "--out", out, "--parts", "mine_train:parts")
    assert code == 0, output
    assert json.loads((out / "config.json").read_text())["parts"] == {"model": "mine_train:Model"}
    # Training, evaluation and one for each policy of reference.
    assert [list(parts) for parts in made] == [["model"]] * 4


def test_parts_that_are_not_there_get_one_line(tmp_path, own_module, scenario_file):
    code, output = run("--scenario", scenario_file, "--out", tmp_path / "run", "--reward", "mine_train:absent")
    assert code == 2
    assert "has no 'absent'" in output
    assert not (tmp_path / "run").exists()
