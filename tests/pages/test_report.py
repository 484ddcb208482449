"""The report on folders of results: what its page says, and how a browser shows it."""

from __future__ import annotations

import csv
import json

import pytest
import typer
from typer.testing import CliRunner

from satfl_baselines import compare, summarise
from satfl_baselines.commands.report import report as command
from satfl_baselines.pages import page
from satfl_baselines.pages.page import html_page
from satfl_baselines.pages.report import report
from satfl_env.scenarios import load
from tests.pages.test_replay import CHROMIUM, WIDTHS, Elements, in_browser

FAST = {"rounds.episode": 2, "training.max_epochs": 1, "data.test_samples": 8}
NAN = float("nan")
POLICIES, SEEDS = ("full", "random"), (0, 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two comparisons that differ in the energy, with their summaries."""
    root = tmp_path_factory.mktemp("results")
    for name, energy in (("plenty", 100.0), ("scarce", 50.0)):
        scenario = load("leo-multitask", **FAST, **{"onboard.energy.mean_j": energy})
        summarise(root / name, compare(scenario, POLICIES, SEEDS, root / name))
    return [root / "plenty", root / "scarce"]


def rows(file):
    return list(csv.DictReader(file.open()))


def test_outcomes_and_curves_are_those_of_the_summary(folders):
    for folder, shown in zip(folders, report(folders)["folders"], strict=True):
        (part,) = shown["parts"]
        (table,) = part["tables"]
        summary = json.loads((folder / "summary.json").read_text())["policies"]
        assert [row[0] for row in table["rows"]] == list(POLICIES)
        for policy, accuracy, difference, *others in table["rows"]:
            of = summary[policy]
            assert accuracy[:2] == [of["balanced_accuracy"][key] for key in ("mean", "ci95")]
            assert difference[:2] == [of["balanced_accuracy_difference"][key] for key in ("mean", "ci95")]
            energy = others[table["columns"][3:].index("energy (kJ)")]
            assert energy[:2] == pytest.approx([of["energy_j"][key] / 1e3 for key in ("mean", "ci95")])
        curves = rows(folder / "curves.csv")
        names = {curve["name"]: curve for curve in part["curves"]}
        assert list(names) == ["balanced accuracy", "test loss", "energy (kJ)"]
        for series in names["balanced accuracy"]["series"]:
            own = [row for row in curves if row["policy"] == series["name"]]
            assert series["values"] == pytest.approx([float(row["balanced_accuracy"]) for row in own], rel=1e-5)
            half = [float(row["balanced_accuracy_ci95"]) for row in own]
            assert [high - mean for high, mean in zip(series["high"], series["values"], strict=True)] == pytest.approx(
                half, abs=1e-5
            )
        assert shown["run"] is None
        assert part["seeds"] == list(SEEDS)
        assert part["facts"]["episodes"] == 4
        assert "leo-multitask" in part["configuration"]


def test_what_differs_is_told(folders):
    (difference,) = report(folders)["differences"]
    assert difference == {"part": "", "name": "scenario.onboard.energy.mean_j", "values": ["100.0", "50.0"]}
    assert report([folders[0], folders[0]])["differences"] == []
    first, second, third = report([folders[0], folders[0], folders[1]])["differences"][0]["values"]
    assert (first, second, third) == ("100.0", None, "50.0")


def test_folders_in_a_folder_are_parts_of_it(folders):
    (shown,) = report([folders[0].parent])["folders"]
    assert [part["name"] for part in shown["parts"]] == ["plenty", "scarce"]


def test_policies_are_shown_on_the_seeds_that_all_have_played(tmp_path):
    scenario = load("leo-multitask", **FAST)
    compare(scenario, POLICIES, (0,), tmp_path)
    compare(scenario, POLICIES[:1], (1,), tmp_path)
    (part,) = report([tmp_path])["folders"][0]["parts"]
    assert part["seeds"] == [0]
    assert part["facts"]["episodes"] == 3
    for run in (tmp_path / "runs").glob("random*"):
        run.unlink()
    (part,) = report([tmp_path])["folders"][0]["parts"]
    assert [row[0] for row in part["tables"][0]["rows"]] == ["full"]


def test_tables_have_their_intervals_and_training_its_curves(tmp_path):
    (tmp_path / "standings.csv").write_text("policy,mean,mean_low,mean_high,iqm,iqm_ci95\nfull,0.5,0.4,0.6,1,\n")
    (tmp_path / "validation.csv").write_text(
        "rounds,score,energy_j,same\n0,0.1,2000,1\n30,,4000,1\n60,0.3,8000,1\n60,0.5,9000,1\n"
    )
    (part,) = report([tmp_path])["folders"][0]["parts"]
    standings, validation = part["tables"]
    assert standings["columns"] == ["policy", "mean", "iqm"]
    assert standings["rows"] == [["full", {"value": 0.5, "low": 0.4, "high": 0.6}, [1.0, None, None]]]
    assert validation["columns"] == ["rounds", "score", "energy (kJ)", "same"]
    assert validation["rows"][1] == [30.0, None, 4.0, 1.0]
    assert [(curve["name"], curve["x"]) for curve in part["curves"]] == [
        ("validation: score", [0.0, 30.0, 60.0]),
        ("validation: energy (kJ)", [0.0, 30.0, 60.0]),
    ]
    assert [pytest.approx(curve["series"][0]["values"], nan_ok=True) for curve in part["curves"]] == [
        [0.1, NAN, 0.4],
        [2.0, 4.0, 8.5],
    ]


def test_long_tables_are_cut_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr("satfl_baselines.pages.report.MOST_ROWS", 3)
    (tmp_path / "curve.csv").write_text("rounds,return\n" + "".join(f"{k},{k}\n" for k in range(10)))
    (part,) = report([tmp_path])["folders"][0]["parts"]
    (table,), (curve,) = part["tables"], part["curves"]
    assert (len(table["rows"]), table["hidden"]) == (3, 7)
    assert curve["x"] == curve["series"][0]["values"] == [0.0, 4.0, 8.0]


@pytest.mark.parametrize(("make", "problem"), [(True, "holds no results"), (False, "is not there")])
def test_folders_that_are_no_results_are_told_in_one_line(tmp_path, folders, make, problem):
    other = tmp_path / "other"
    if make:
        other.mkdir()
        (other / "notes.txt").write_text("nothing")
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [str(folders[0]), str(other), "--out", str(tmp_path / "report.html")])
    assert isinstance(done.exception, ValueError)
    assert str(done.exception) == f"folder {str(other)!r} {problem}; a report is of folders that satfl wrote"
    assert not (tmp_path / "report.html").exists()


def test_only_names_that_browsers_open_are_written(tmp_path, folders):
    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "report.txt"
    done = CliRunner().invoke(app, [*map(str, folders), "--out", str(out)])
    assert str(done.exception) == f"the name of a page must end in .html, got {str(out)!r}"
    assert not out.exists()


def test_the_command_writes_the_page(tmp_path, folders):
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [*map(str, folders), "--out", str(tmp_path / "report.html")])
    assert done.exit_code == 0, done.output
    data = json.loads(Elements((tmp_path / "report.html").read_bytes()).of("script")[0][1])
    assert [folder["name"] for folder in data["folders"]] == [str(folder) for folder in folders]


TELLING = """
const told = { widths: [document.documentElement.scrollWidth, innerWidth], text: document.body.innerText,
  charts: document.querySelectorAll("polyline.line").length };
console.log("SEEN" + btoa(encodeURIComponent(JSON.stringify([told]))));
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_tables_and_curves(folders, tmp_path, monkeypatch):
    templates = page._template
    monkeypatch.setattr(page, "_template", lambda name: templates(name) + (TELLING if name == "report.js" else ""))
    told = in_browser(tmp_path, html_page("report", "two folders", report(folders)), "")
    assert sorted(told) == sorted(WIDTHS)
    summary = json.loads((folders[1] / "summary.json").read_text())["policies"]["random"]["balanced_accuracy"]
    for (seen,) in told.values():
        scrolled, width = seen["widths"]
        assert scrolled <= width
        assert f"{summary['mean']:.3f} ± {summary['ci95']:.3f}" in seen["text"]
        assert "scenario.onboard.energy.mean_j" in seen["text"]
        assert seen["charts"] == 2 * 3 * len(POLICIES)


def test_the_last_command_of_a_folder_is_told(tmp_path):
    (tmp_path / "pairs.csv").write_text("policy,first\nfull,1\n")
    (tmp_path / "run.json").write_text('{"command": "satfl pair", "versions": {"python": "3.11"}}')
    (tmp_path / "scenario.yaml").write_text("name: mine\n")
    (folder,) = report([tmp_path])["folders"]
    assert folder["run"]["command"] == "satfl pair"
    assert folder["parts"][0]["configuration"] == "name: mine\n"
    (tmp_path / "run.json").write_text("[")
    with pytest.raises(ValueError, match=r"run\.json.*damaged"):
        report([tmp_path])
