from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("stable_baselines3")
from satfl_agents import load_policy
from satfl_agents.algorithms.algorithm import ALGORITHMS
from satfl_baselines import run_episode
from satfl_baselines.seeds import VALIDATION
from satfl_env.commands import make_app
from tests.factories import physics_only

ROUNDS = 4
QUICK = {
    "envs": 2,
    "validation.seeds": 2,
    "validation.every": 16,
    "validation.rules": "[full]",
    "network.hidden": "[8]",
    "checkpoint_every": 16,
}
ON_POLICY = {"learner.n_steps": 8, "learner.batch_size": 8, "learner.n_epochs": 1}
OFF_POLICY = {
    "learner.learning_starts": 8,
    "learner.batch_size": 8,
    "learner.train_freq": 2,
    "learner.gradient_steps": 1,
}
CEM = {"learner.population": 3, "learner.elite": 1, "learner.episodes": 1}


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory):
    """The default scenario with short episodes and without training."""
    path = tmp_path_factory.mktemp("scenario") / "quick.yaml"
    path.write_text(yaml.safe_dump(physics_only(ROUNDS).model_dump(mode="json")), encoding="utf-8")
    return path


def run(*arguments: object):
    result = CliRunner().invoke(make_app(), ["train", *map(str, arguments)])
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def quick(algo: str, **changes: object) -> list[object]:
    more = CEM if algo == "cem" else OFF_POLICY if algo in ("sac", "td3", "tqc") else ON_POLICY
    hyper = QUICK | more | changes
    return ["--algo", algo, *(word for name, value in hyper.items() for word in ("--hyper", f"{name}={value}"))]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_algorithm_trains_and_leaves_a_policy_curves_and_a_comparison(tmp_path, scenario_file, algo):
    out = tmp_path / "run"
    arguments = (*quick(algo), "--scenario", scenario_file, "--rounds", 40, "--seed", 3, "--out", out)
    code, output = run(*arguments)
    assert code == 0, output
    assert "balanced accuracy" in output
    assert re.search(r"episodes of rules: \d+ of .* rounds of learner 3: .* held-out episodes: \d+ of ", output)

    config = json.loads((out / "config.json").read_text())
    assert (config["algo"], config["seed"], config["hyperparameters"]["rounds"]) == (algo, 3, 40)
    curve = rows(out / "curve.csv")
    assert [int(float(row["rounds"])) for row in curve] == [
        8,
        8,
        16,
        16,
        24,
        24,
        32,
        32,
        40,
        40,
        *([48, 48] if len(curve) > 10 else []),
    ]
    assert {float(row["length"]) for row in curve} == {ROUNDS}
    validation = rows(out / "validation.csv")
    assert float(validation[0]["rounds"]) == 0
    assert float(validation[-1]["rounds"]) >= 40
    assert list((out / "tensorboard").iterdir())

    # What was judged is what is kept: the best policy gives the same again.
    policy = load_policy(out)
    finals = [run_episode(scenario_file, policy, seed)[-1]["balanced_accuracy"] for seed in VALIDATION[:2]]
    assert max(float(row["balanced_accuracy"]) for row in validation) == pytest.approx(sum(finals) / 2)

    weights = (out / "policy" / "weights.safetensors").read_bytes()
    code, output = run(*arguments)
    assert code == 0
    assert "complete already" in output
    assert (out / "policy" / "weights.safetensors").read_bytes() == weights
    code, output = run(*arguments, "--hyper", "envs=3")
    assert code == 2
    assert "belongs to another training run: hyperparameters.envs is 2 there and 3 here" in output


@pytest.mark.parametrize(
    "algo", [algo if algo == "cem" else pytest.param(algo, marks=pytest.mark.slow) for algo in ALGORITHMS]
)
def test_the_same_seed_gives_the_same_policy_and_the_same_curve(tmp_path, scenario_file, algo):
    for out in ("first", "again"):
        code, output = run(*quick(algo), "--scenario", scenario_file, "--rounds", 16, "--out", tmp_path / out)
        assert code == 0, output
    for name in ("policy/policy.json", "policy/weights.safetensors", "curve.csv", "validation.csv"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_several_learners_have_a_folder_each_and_one_table(tmp_path, scenario_file):
    out = tmp_path / "runs"
    asked = ("--rounds", 16, "--seeds", 2, "--format", "png,svg")
    with matplotlib.rc_context({"axes.facecolor": "red", "figure.facecolor": "red", "savefig.dpi": 20}):
        code, output = run(*quick("ppo"), "--scenario", scenario_file, *asked, "--out", out)
    assert code == 0, output
    assert "learned-1" in output
    first, second = (rows(out / f"seed-{seed}" / "curve.csv") for seed in (0, 1))
    assert len(first) == len(second)
    load_policy(out / "seed-1")
    assert (out / "held-out" / "curves.svg").exists()
    assert ">best rule</text>" in (out / "learning.svg").read_text()
    picture = matplotlib.image.imread(out / "learning.png")
    assert picture.shape[0] > 600
    assert (picture[:10, :10] == 1).all()


def test_an_own_reward_is_what_is_learned_from(tmp_path, scenario_file, monkeypatch):
    (tmp_path / "mine_train.py").write_text("weights = {'metric_gain': 0.0, 'lost_updates': 3.0}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    out = tmp_path / "run"
    code, output = run(
        *quick("ppo"), "--scenario", scenario_file, "--rounds", 16, "--out", out, "--reward", "mine_train:weights"
    )
    assert code == 0, output
    assert json.loads((out / "config.json").read_text())["reward"] == {"metric_gain": 0.0, "lost_updates": 3.0}
    for row in rows(out / "curve.csv"):
        assert float(row["return"]) == pytest.approx(-3 * float(row["lost_updates"]))


def test_a_learner_starts_from_a_reference_policy(tmp_path, scenario_file):
    out = tmp_path / "run"
    cloning = {
        "action": "box",
        "clone.episodes": 4,
        "clone.epochs": 200,
        "clone.learning_rate": 0.01,
        "network.hidden": "[32]",
    }
    code, output = run(
        *quick("ppo", **cloning), "--scenario", scenario_file, "--rounds", 16, "--out", out, "--clone", "full"
    )
    assert code == 0, output
    assert "cloned full: loss" in output
    losses = re.search(r"loss (\S+) in the first pass, (\S+) in the last", output)
    assert float(losses[2]) < 0.5 * float(losses[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algo", "pop"], "unknown algorithm 'pop', did you mean"),
        (["--hyper", "learner.lr=1"], "hyperparameter learner.lr: ppo has no such setting"),
        (["--hyper", "learner.gamma=.nan"], "hyperparameter learner.gamma: Input should be a finite number, got nan"),
        (["--hyper", "envz=1"], "hyperparameter envz: unknown key, did you mean 'envs'?"),
        (["--hyper", "action=bax"], "there is no form 'bax', did you mean 'box'"),
        (["--hyper", "gamma"], "--hyper takes KEY=VALUE"),
        (["--clone", "fool"], "unknown policy 'fool'; there are: full"),
        (
            ["--algo", "sac", "--hyper", "action=discrete"],
            "sac takes actions of kind Box, and the form 'discrete' gives",
        ),
        (["--set", "rounds.episodes=5"], "did you mean 'episode'"),
    ],
)
def test_bad_input_is_named(tmp_path, scenario_file, arguments, message):
    quick_rules = ["--hyper", "validation.rules=[full]", "--hyper", "validation.seeds=1"]
    code, output = run("--scenario", scenario_file, "--out", tmp_path / "run", *quick_rules, *arguments)
    assert code == 2
    assert message in output


def test_folders_with_something_else_are_refused(tmp_path, scenario_file):
    (tmp_path / "thesis.tex").write_text("years of work")
    code, output = run("--scenario", scenario_file, "--out", tmp_path)
    assert code == 2
    assert "holds no training run" in output
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


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
