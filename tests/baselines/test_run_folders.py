"""What every command leaves in its folder: configuration, command, versions, tables in two forms, and a log."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from satfl_baselines.files import write_table
from satfl_baselines.identity import identity, write_record
from satfl_env import __version__
from satfl_env.builtin import names
from satfl_env.commands import make_app
from satfl_env.scenarios import load

FAST = ("--set", "training.engine=none", "--set", "rounds.episode=2")
COMPARE = ("compare", *FAST, "--seeds", "2", "--policies", "full,random")
COMMANDS = {
    "compare": COMPARE,
    "evaluate": ("evaluate", *FAST, "--seeds", "2", "--against", "full,random"),
    "leaderboard": ("leaderboard",),
    "reproduce": ("reproduce", "table3"),
    "tune-rules": (
        *("tune-rules", *FAST, "--set", "rounds.episode=1"),
        *("--generations", "1", "--population", "4", "--seeds", "1", "--checks", "2"),
    ),
    "train": (
        *("train", *FAST, "--algo", "cem", "--rounds", "6", "--hyper", "validation.seeds=1"),
        *(word for name in ("population=3", "elite=1", "episodes=1") for word in ("--hyper", f"learner.{name}")),
    ),
}
TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*\S$")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), list(arguments))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_records_itself_and_what_it_says(command, tmp_path, monkeypatch):
    arguments = [*COMMANDS[command], "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["satfl", *arguments])
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["command"].startswith(f"satfl {command} ")
    assert record["options"]["out"] == str(tmp_path)
    assert record["versions"]["satfl-env"] == __version__
    assert {"python", "torch", "numpy", "numba"} <= record["versions"].keys()
    assert record["seeds"]
    assert record["started"] <= record["finished"]
    log = (tmp_path / "log.txt").read_text()
    first, *others = log.splitlines()
    assert first.endswith(f"$ {record['command']}")
    assert all(map(TIMED.match, log.splitlines()))
    for said in filter(str.strip, (result.stdout + result.stderr).splitlines()):
        assert any(line.partition(" ")[2] == said.rstrip() for line in others), said
    tables = list(tmp_path.rglob("*.csv"))
    for table in tables:
        assert table.with_suffix(".json").exists()
    assert tables


def test_a_scenario_s_file_is_the_scenario(tmp_path):
    for name in names():
        scenario = load(name)
        write_record(tmp_path / "manifest.json", identity(scenario))
        assert load(str(tmp_path / "scenario.yaml")) == scenario


def test_the_log_of_all_commands_is_kept_and_what_failed_is_in_it(tmp_path, monkeypatch):
    assert run(*COMPARE, "--out", str(tmp_path)).exit_code == 0

    def fail(*_):
        raise RuntimeError("no tables today")

    monkeypatch.setattr("satfl_baselines.results.summarise", fail)
    assert run(*COMPARE, "--out", str(tmp_path)).exit_code == 1
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert sum(" $ satfl" in line for line in log) == 2
    assert log[-1].endswith("Z error: no tables today")
    assert json.loads((tmp_path / "run.json").read_text())["finished"] is None


def test_nothing_is_recorded_in_a_folder_of_something_else(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert run(*COMPARE, "--out", str(tmp_path)).exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_tables_are_the_same_in_both_forms(tmp_path):
    rows = [{"a": 1.5, "b": "x,y", "c": 2}, {"a": -0.25, "b": "", "c": 3}]
    write_table(tmp_path / "table.csv", rows)
    assert json.loads((tmp_path / "table.json").read_text()) == rows
    with (tmp_path / "table.csv").open() as file:
        assert [{"a": float(r["a"]), "b": r["b"], "c": int(r["c"])} for r in csv.DictReader(file)] == rows


def test_pairs_are_written_where_asked(tmp_path: Path):
    assert run(*COMPARE, "--out", str(tmp_path / "one")).exit_code == 0
    assert run("pair", str(tmp_path / "one"), str(tmp_path / "one"), "--out", str(tmp_path / "pairs")).exit_code == 0
    rows = json.loads((tmp_path / "pairs" / "pairs.json").read_text())
    assert {row["policy"] for row in rows} == {"full", "random"}
    assert all(row["difference"] == row["difference_low"] == row["difference_high"] == 0 for row in rows)
    assert (tmp_path / "pairs" / "log.txt").exists()
