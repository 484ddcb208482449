from __future__ import annotations

import csv
import json
from importlib.metadata import EntryPoint
from pathlib import Path

import matplotlib.image
import pytest
import yaml
from typer.testing import CliRunner, Result

from satfl_baselines import evaluate as playing
from satfl_baselines import run_episode
from satfl_baselines.commands import policy_names
from satfl_baselines.seeds import HELD_OUT
from satfl_baselines.suites import suite as suites
from satfl_env.commands import make_app
from satfl_env.scenarios import load
from tests.suites.test_suite import SMALL

APP = make_app([EntryPoint("evaluate", "satfl_baselines.commands.evaluate:evaluate", "satfl.commands")])
FAST = {"rounds.episode": 2}


def run(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(APP, ["evaluate", "--out", str(out), *arguments])


def rows(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "standings.csv").open()))


@pytest.fixture
def played(monkeypatch) -> list[playing.Run]:
    """The runs that are really played; episodes have two rounds."""
    runs: list[playing.Run] = []
    play = playing.run_episode

    def counted(scenario, policy, seed, **brought):
        runs.append(playing.Run(policy if isinstance(policy, str) else "own", seed))
        return play(scenario, policy, seed, **brought)

    monkeypatch.setattr(playing, "run_episode", counted)
    return runs


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A suite of the package, in a folder that tests may change; its episodes have two rounds."""
    folder = tmp_path / "suites"
    folder.mkdir()
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.setattr(suites, "_FOLDER", folder)
    monkeypatch.setattr(suites, "load", lambda name: load(name, **FAST))
    return folder


def test_a_scenario_s_policies_stand_beside_the_best_rule(tmp_path, played):
    quick = ("--set", "rounds.episode=2", "--against", "random,full,individual", "--seeds", "3")
    result = run(tmp_path / "out", "--policy", "fine", *quick, "--format", "png,pdf")
    assert result.exit_code == 0, result.output
    assert {seed for _, seed in played} == set(HELD_OUT[:3])
    assert "best rule" in result.stdout
    assert "leo-multitask, balanced accuracy, seeds: 3 (95 % intervals)" in result.stdout
    found = {row["policy"]: row for row in rows(tmp_path / "out")}
    assert set(found) == {"fine", "random", "full", "individual"}
    assert found["fine"]["best"] in {"full", "individual"}
    own = [run_episode(load("leo-multitask", **FAST), "fine", seed)[-1]["balanced_accuracy"] for seed in HELD_OUT[:3]]
    assert float(found["fine"]["mean"]) == pytest.approx(sum(own) / 3)
    assert matplotlib.image.imread(tmp_path / "out" / "standings.png").ndim == 3
    assert (tmp_path / "out" / "standings.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "out" / "profiles.csv").exists()


def test_a_suite_is_played_once(tmp_path, small, played):
    for _ in range(2):
        assert run(tmp_path / "out", "--suite", "small").exit_code == 0
    assert sorted(played) == sorted((policy, seed) for policy in ("full", "random") for seed in HELD_OUT[:3])
    scores = {row["policy"]: float(row["mean"]) for row in rows(tmp_path / "out") if row["scenario"] == "all"}
    assert scores == pytest.approx({"full": 1, "random": 0})


def test_recorded_results_are_not_played_again_unless_asked(tmp_path, small, played):
    assert run(tmp_path / "first", "--suite", "small").exit_code == 0
    (small / "small.json").write_bytes((tmp_path / "first" / "finals.json").read_bytes())
    played.clear()
    result = run(tmp_path / "second", "--suite", "small", "--policy", "fine", "--seeds", "2")
    assert result.exit_code == 0, result.output
    assert "random, full are those recorded" in result.stderr
    assert played == [("fine", seed) for seed in HELD_OUT[:2]]
    alone = run(tmp_path / "third", "--suite", "small")
    assert alone.exit_code == 0, alone.output
    assert len(played) == 2
    recorded = rows(tmp_path / "second")
    result = run(tmp_path / "second", "--suite", "small", "--policy", "fine", "--seeds", "2", "--replay")
    assert len(played) == 6
    assert "recorded" not in result.stderr
    assert rows(tmp_path / "second") == recorded


def test_your_own_policy_tells_its_rounds_of_training(tmp_path, small, played, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("trained_elsewhere.py").write_text(
        "from satfl_baselines import make_policy\ndef policy(state): return make_policy('full')(state)\n"
        "policy.training_rounds = 500\n"
    )
    assert run(Path("out"), "--suite", "small", "--policy", "trained_elsewhere:policy", "--seeds", "1").exit_code == 0
    stored = json.loads(Path("out/finals.json").read_text())["policies"]
    assert {name: policy["training_rounds"] for name, policy in stored.items()} == {
        "trained_elsewhere:policy": 500,
        "random": None,
        "full": None,
    }
    assert stored["trained_elsewhere:policy"]["values"] == stored["full"]["values"]


def test_policies_of_other_packages_are_found(monkeypatch):
    found = EntryPoint("mine", "tests.suites.test_evaluate_command:find", "satfl.policies")
    monkeypatch.setattr(policy_names, "entry_points", lambda group: [found])
    assert policy_names.own_policies(["full", "tuned", "theirs"]) == {"theirs": find}
    with pytest.raises(ValueError, match=r"unknown policy 'nobody'; there are: full, .*; others are .* MODULE:F"):
        policy_names.own_policies(["nobody"])


def find(name: str) -> object:
    return find if name == "theirs" else None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite", "small", "--scenario", "leo-multitask"), "go without --suite"),
        (("--suite", "small", "--seeds", "4"), "suite 'small' has 3 seeds, got 4"),
        (("--suite", "small", "--policy", "ful"), "unknown policy 'ful', did you mean 'full'"),
        (("--suite", "smal"), "did you mean 'small'"),
    ],
)
def test_bad_input_is_told_in_a_line(tmp_path, small, arguments, message):
    result = run(tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()
