from __future__ import annotations

import csv
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from satfl_baselines import run_episode
from satfl_baselines.suites import evaluation, leaderboard
from satfl_baselines.suites.finals import Finals, read_finals, write_finals
from satfl_baselines.suites.suite import load_suite, recorded_file
from satfl_env.commands import make_app

SUITE = load_suite("v1")
APP = make_app(
    [
        EntryPoint(name, f"satfl_baselines.commands.{name}:{name}", "satfl.commands")
        for name in ("evaluate", "leaderboard")
    ]
)
DOCS = Path(__file__).parents[2] / "docs"


def results(*policies: str, seeds: int = 6, rounds: int = 0) -> Finals:
    """Results of some policies, each a little better than the one before."""
    values = {
        policy: 0.5 + 0.1 * place + np.linspace(0, 0.1, seeds * len(SUITE.scenarios)).reshape(seeds, -1)
        for place, policy in enumerate(policies)
    }
    metrics = dict.fromkeys(SUITE.scenarios, "balanced_accuracy")
    learned = {policy: rounds for policy in policies if rounds}
    return Finals(metrics, SUITE.held_out[:seeds], values, dict.fromkeys(policies, "0.1.0"), learned)


@pytest.fixture
def recorded(tmp_path, monkeypatch) -> Path:
    """The reference policies' recorded results, from `random` to `full`."""
    path = tmp_path / "v1.json"
    write_finals(path, results(*(name for name in SUITE.references if name != "full"), "full"), SUITE)
    for module in (leaderboard, evaluation):
        monkeypatch.setattr(module, "recorded_file", lambda name: path)
    return path


def made(out: Path, *files: Path) -> list[dict[str, str]]:
    result = CliRunner().invoke(APP, ["leaderboard", *map(str, files), "--out", str(out)])
    assert result.exit_code == 0, result.output
    return list(csv.DictReader((out / "leaderboard.csv").open()))


def test_reference_policies_stand_by_themselves(tmp_path, recorded):
    rows = made(tmp_path / "out")
    assert rows[0]["policy"] == "full"
    assert float(rows[0]["mean"]) == pytest.approx(1)
    assert {row["kind"] for row in rows} == {"rule"}
    page = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "first 6 of its\n50 held-out seeds" in page
    assert "| 1 | `full` | rule |" in page


def test_those_who_enter_stand_beside_them(tmp_path, recorded):
    ours = read_finals(recorded, SUITE).values["full"] + 0.1
    entry = results("mine", rounds=60_000)
    write_finals(
        tmp_path / "mine.json",
        Finals(entry.metrics, entry.seeds, {"mine": ours}, entry.versions, {"mine": 60_000}),
        SUITE,
    )
    first = made(tmp_path / "out", tmp_path / "mine.json")[0]
    assert (first["policy"], first["kind"], first["training_rounds"]) == ("mine", "learned, long", "60000")
    assert (first["best"], first["win_rate"]) == ("full", "1.0")


def test_other_seeds_are_refused(tmp_path, recorded):
    write_finals(tmp_path / "mine.json", results("mine", seeds=5), SUITE)
    result = CliRunner().invoke(APP, ["leaderboard", str(tmp_path / "mine.json"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "mine.json': results are of other seeds or metrics: 6 seeds" in result.stderr


@pytest.mark.parametrize("there", [False, True], ids=["no folder", "folder without results"])
def test_results_that_are_not_there_are_named(tmp_path, recorded, there):
    if there:
        (tmp_path / "mine").mkdir()
    result = CliRunner().invoke(APP, ["leaderboard", str(tmp_path / "mine"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "error: there is no '" in result.stderr
    assert "name a result folder of `satfl evaluate --suite`, or its finals.json" in result.stderr
    assert not (tmp_path / "out").exists()


def test_damaged_results_are_named_once(tmp_path, recorded):
    (tmp_path / "finals.json").write_bytes(recorded.read_bytes()[:-20])
    result = CliRunner().invoke(APP, ["leaderboard", str(tmp_path / "finals.json"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.count("finals.json") == 1
    assert "is damaged" in result.stderr


def test_nobody_takes_another_one_s_name(tmp_path, recorded):
    for name in ("one", "two"):
        write_finals(tmp_path / f"{name}.json", results("mine"), SUITE)
    entries = (str(tmp_path / "one.json"), str(tmp_path / "two.json"))
    result = CliRunner().invoke(APP, ["leaderboard", *entries, "--out", str(tmp_path / "out")])
    assert "two.json': policy 'mine' was entered already" in result.stderr


def test_nothing_recorded_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(leaderboard, "recorded_file", lambda name: tmp_path / "none.json")
    result = CliRunner().invoke(APP, ["leaderboard", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "no results of suite 'v1' are recorded" in result.stderr


@pytest.mark.skipif(not recorded_file("v1").exists(), reason="nothing is recorded")
class TestRecorded:
    def test_the_page_in_the_docs_is_what_the_command_makes(self, tmp_path):
        made(tmp_path, *sorted((DOCS / "entries" / "v1").glob("*.json")))
        for name in ("leaderboard.md", "leaderboard.csv"):
            assert (tmp_path / name).read_text() == (DOCS / name).read_text()

    @pytest.mark.parametrize("scenario", SUITE.scenarios)
    def test_recorded_results_are_those_of_today(self, scenario):
        """Other processors round otherwise, so that trajectories drift apart a little."""
        recorded = read_finals(recorded_file("v1"), SUITE)
        episode = run_episode(SUITE.loaded()[scenario], "full", recorded.seeds[0])
        final = episode[-1][recorded.metrics[scenario]]
        assert final == pytest.approx(recorded.of(scenario)["full"][0, 0], abs=0.03)
