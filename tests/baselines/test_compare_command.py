from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import matplotlib.image
import pytest
from typer.testing import CliRunner, Result

from satfl_baselines import evaluate
from satfl_env.commands import make_app
from satfl_env.federated import WorkerError

FAST = ("--set", "training.engine=none", "--rounds", "3", "--seeds", "2")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), list(arguments))


def compare(out: Path, *arguments: str, policies: str = "full,random") -> Result:
    return run("compare", "--out", str(out), "--policies", policies, *FAST, *arguments)


def refused(result: Result, *words: str, exit_code: int = 2) -> None:
    """Bad input: one line on standard error that says what is wrong, nothing on standard output."""
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert "episodes" not in result.stderr
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("error: ")
    for word in words:
        assert word in message
    assert "Traceback" not in result.output


@pytest.fixture
def played(monkeypatch) -> list[evaluate.Run]:
    """The runs that are really played."""
    runs: list[evaluate.Run] = []
    play = evaluate.run_episode

    def counted(scenario, policy, seed, **brought):
        runs.append(evaluate.Run(policy, seed))
        return play(scenario, policy, seed, **brought)

    monkeypatch.setattr(evaluate, "run_episode", counted)
    return runs


def test_list_names_every_policy():
    result = run("list", "policies")
    assert result.exit_code == 0
    for name in ("full", "semspacefl", "single-gateway-fedavg", "random"):
        assert name in result.stdout


def test_pictures_have_the_formats_asked_for_which_are_checked_before_anything_is_played(tmp_path, played):
    refused(compare(tmp_path, "--format", "gif"), "--format takes some of png, pdf, svg", "got 'gif'")
    assert not played
    assert compare(tmp_path, "--format", "pdf,svg").exit_code == 0
    names = ["curves.csv", "curves.json", "curves.pdf", "curves.svg"]
    assert sorted(path.name for path in tmp_path.glob("curves.*")) == names


def test_compare_prints_a_table_and_fills_the_folder(tmp_path):
    result = compare(tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "full" in result.stdout
    assert "±" in result.stdout
    out = tmp_path / "out"
    assert sorted(file.name for file in (out / "runs").iterdir()) == [
        "full-0.json",
        "full-1.json",
        "random-0.json",
        "random-1.json",
    ]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["policies"] == ["full", "random"]
    assert manifest["seeds"] == [0, 1]
    assert manifest["rounds"] == manifest["scenario"]["rounds"]["episode"] == 3
    assert manifest["batches_per_epoch"] is None
    with (out / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    summary = json.loads((out / "summary.json").read_text())
    assert [row["policy"] for row in rows] == list(summary["policies"]) == ["full", "random"]
    for row in rows:
        for name, estimate in summary["policies"][row["policy"]].items():
            assert float(row[name]) == estimate["mean"]
            assert float(row[f"{name}_ci95"]) == estimate["ci95"]
    with (out / "curves.csv").open() as file:
        assert [(row["policy"], row["round"]) for row in csv.DictReader(file)] == [
            (policy, str(index)) for policy in ("full", "random") for index in range(4)
        ]
    assert matplotlib.image.imread(out / "curves.png").shape[0] > 100


def test_a_target_ends_episodes_and_the_table_tells_their_rounds(tmp_path):
    target = "target={metric: balanced_accuracy, value: 0.55}"
    out = str(tmp_path / "out")
    policies = ("--policies", "full,random", "--seeds", "2", "--rounds", "4")
    result = run("compare", "--out", out, *policies, "--set", target, "--json", "-")
    assert result.exit_code == 0, result.output
    rounds = {name: own["rounds"]["mean"] for name, own in json.loads(result.stdout)["policies"].items()}
    assert rounds["full"] < rounds["random"] <= 4
    with (tmp_path / "out" / "curves.csv").open() as file:
        lines = {(row["policy"], int(row["round"])) for row in csv.DictReader(file)}
    assert {index for policy, index in lines if policy == "full"} == {
        index for policy, index in lines if policy == "random"
    }
    table = run("compare", "--out", out, *policies, "--set", target).stdout
    assert any(line.split()[:1] == ["policy"] and line.split()[-1] == "rounds" for line in table.splitlines())


def test_divergence_is_told_under_the_table_by_policy(tmp_path):
    played = ("--policies", "semspacefl,individual", "--seeds", "2", "--rounds", "2", "--set", "data.test_samples=20")
    calm = run("compare", "--out", str(tmp_path / "calm"), *played)
    assert "lost to divergence" not in calm.stdout
    wild = ("--set", "training.optimizer=sgd", "--set", "training.learning_rate=1e30", "--json")
    assert run("compare", "--out", str(tmp_path / "wild"), *played, *wild, str(tmp_path / "own.json")).exit_code == 0
    told = run("compare", "--out", str(tmp_path / "wild"), *played, *wild, str(tmp_path / "own.json")).stdout
    diverged = {"semspacefl": 0, "individual": 0}
    for policy in diverged:
        for file in (tmp_path / "wild" / "runs").glob(f"{policy}-*.json"):
            diverged[policy] += sum(int(record["diverged"]) for record in json.loads(file.read_text()))
    for policy, updates in diverged.items():
        assert updates > 0
        assert f"\n{policy}: {updates} updates lost to divergence, " in told


def test_why_no_update_came_back_is_told_under_the_table(tmp_path):
    played = ("--policies", "full,random", "--seeds", "2", "--rounds", "2", "--set", "training.engine=none")
    calm = run("compare", "--out", str(tmp_path / "calm"), *played)
    assert "no update came back" not in calm.stdout
    played += ("--set", "onboard.energy={mean_j: 1e-9, std_j: 0}")
    empty = run("compare", "--out", str(tmp_path / "empty"), *played)
    # Ten satellites in two rounds on two seeds; `full` makes them so slow that time runs out first.
    assert "\nfull: no update came back; out of time 40 (all seeds)\n" in empty.stdout
    assert re.search(r"\nrandom: no update came back; out of time \d+, out of energy \d+ \(all seeds\)\n", empty.stdout)


def test_json_alone_goes_to_standard_output(tmp_path):
    result = compare(tmp_path / "out", "--json", "-")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "summary.json").read_text())


def test_json_goes_to_a_file(tmp_path):
    assert compare(tmp_path / "out", "--json", str(tmp_path / "own.json")).exit_code == 0
    assert (tmp_path / "own.json").read_text() == (tmp_path / "out" / "summary.json").read_text()


def test_one_seed_is_valid_json_without_intervals(tmp_path):
    result = compare(tmp_path / "out", "--json", "-", "--seeds", "1")

    def refuse(constant):
        raise AssertionError(constant)

    summary = json.loads(result.stdout, parse_constant=refuse)
    assert summary["policies"]["full"]["balanced_accuracy"]["ci95"] is None


def test_an_interrupted_comparison_goes_on_where_it_stopped(tmp_path, monkeypatch, played):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    compare(whole)
    play, finished = evaluate.run_episode, []

    def interrupted(scenario, *run, **brought):
        if len(finished) == 3:
            raise KeyboardInterrupt
        finished.append(run)
        return play(scenario, *run, **brought)

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "run_episode", interrupted)
        assert compare(broken).exit_code != 0
    assert len(list((broken / "runs").iterdir())) == 3
    assert not (broken / "summary.json").exists()
    # A half-written file of a run that was killed while it was saved.
    (broken / "runs" / "random-1.json.part").write_text("[{")

    played.clear()
    assert compare(broken).exit_code == 0
    assert played == [("random", 1)]
    for name in ("summary.csv", "curves.csv", "summary.json", "manifest.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


def test_a_lost_run_is_played_again_and_only_that(tmp_path, played):
    compare(tmp_path)
    played.clear()
    (tmp_path / "runs" / "full-1.json").unlink()
    before = (tmp_path / "summary.json").read_bytes()
    assert compare(tmp_path).exit_code == 0
    assert played == [("full", 1)]
    assert (tmp_path / "summary.json").read_bytes() == before


def test_more_seeds_and_policies_extend_a_folder(tmp_path, played):
    compare(tmp_path)
    played.clear()
    result = compare(tmp_path, "--seeds", "3", "--json", "-", policies="full,individual")
    assert result.exit_code == 0, result.output
    assert sorted(played) == [("full", 2), ("individual", 0), ("individual", 1), ("individual", 2)]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["policies"] == ["full", "random", "individual"]
    assert manifest["seeds"] == [0, 1, 2]
    assert list(json.loads(result.stdout)["policies"]) == ["full", "individual"]


def test_a_folder_of_another_comparison_is_left_alone(tmp_path):
    compare(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    refused(
        compare(tmp_path, "--rounds", "4", "--set", "training.batch_size=8"),
        "belongs to another comparison",
        "rounds is 3 there and 4 here",
        "scenario.training.batch_size is 16 there and 8 here",
    )
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_folder_goes_on_with_data_sets_in_another_place(tmp_path, played):
    compare(tmp_path, "--set", "data.data_dir=/one")
    played.clear()
    assert compare(tmp_path).exit_code == 0
    assert compare(tmp_path, "--set", "data.data_dir=/two").exit_code == 0
    assert played == []


def test_a_comparison_without_a_finished_run_can_be_corrected(tmp_path, monkeypatch):
    monkeypatch.delenv("SATFL_DATA", raising=False)
    refused(compare(tmp_path / "out", "--scenario", "semspacefl-mini", "--set", "data.source=mnist"), "SATFL_DATA")
    assert compare(tmp_path / "out").exit_code == 0


@pytest.mark.parametrize("name", ["notes.txt", "manifest.json"])
def test_a_foreign_folder_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("[]")
    refused(compare(tmp_path), str(tmp_path), "holds no comparison")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_damaged_run_is_named(tmp_path):
    compare(tmp_path)
    (tmp_path / "runs" / "full-0.json").write_text("[{")
    refused(compare(tmp_path), "full-0.json", "damaged")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scenario", "leo-multitsk"), ("unknown scenario 'leo-multitsk'", "leo-multitask", "ends in .yaml")),
        (("--policies", "full,randm"), ("unknown policy 'randm', did you mean 'random'?",)),
        (("--set", "training.batchsize=3"), ("training.batchsize", "batch_size")),
        (("--seeds", "0"), ("'--seeds': Input should be greater than or equal to 1, got '0' (",)),
        (("--workers", "two"), ("'--workers': Input should be a valid integer", "got 'two' (")),
        (("--track", "mlflow"), ("'--track': 'mlflow' is not one of 'tensorboard', 'wandb' (",)),
        (("--set", "training.batch_size"), ("--set takes KEY=VALUE",)),
        (("--set", "training.batch_size=[1"), ("--set training.batch_size", "not valid YAML")),
        (("--set", "training.batch_size=0"), ("training.batch_size", "got 0")),
    ],
)
def test_bad_input_gets_one_line_and_makes_no_folder(tmp_path, arguments, words):
    refused(compare(tmp_path / "out", *arguments), *words)
    assert not (tmp_path / "out").exists()


def test_a_missing_package_gets_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run("compare", "--out", str(tmp_path), "--policies", "full", "--set", "training.engine=ray")
    refused(result, "pip install -e '.[ray]'", exit_code=1)


def test_an_episode_that_fails_gets_one_line(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise WorkerError("worker 0 died")

    monkeypatch.setattr(evaluate, "run_episode", fail)
    refused(compare(tmp_path), "worker 0 died", exit_code=1)


def test_what_cannot_be_a_folder_is_refused_by_name(tmp_path):
    (tmp_path / "out").write_text("")
    for out in (tmp_path / "out", tmp_path / "out" / "deeper", Path("/proc/x")):
        refused(compare(out), f"folder {str(out)!r} cannot be made or written")


def test_workers_change_nothing(tmp_path):
    compare(tmp_path / "one", "--json", "-")
    assert compare(tmp_path / "two", "--workers", "2").exit_code == 0
    for name in ("summary.json", "curves.csv", "runs/random-1.json"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_episodes_that_were_there_already_are_counted(tmp_path):
    assert "already" not in compare(tmp_path).stderr
    assert f"episodes in {tmp_path} already: 4 of 4" in compare(tmp_path).stderr
    assert f"episodes in {tmp_path} already: 4 of 6" in compare(tmp_path, policies="full,random,semspacefl").stderr
