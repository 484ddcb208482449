from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from satfl_env.commands import make_app
from satfl_env.orbits import contact_windows, load_elements, samples, site, sites, times_after

TLE = str(samples()["sentinel-like"])


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(make_app(), list(arguments))
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_passes_are_listed_in_order_of_time() -> None:
    code, table, _ = run("passes", "--tle", TLE, "--site", "svalbard", "--hours", "6")
    assert code == 0
    orbits = load_elements(TLE)
    windows = contact_windows(orbits, [site("Svalbard")], 0.0, 6 * 3600.0)
    rises = [time.strftime("%m-%d %H:%M:%S") for time in times_after(orbits.epoch, sorted(windows.rise_s))]
    rows = [line for line in table.splitlines() if "LIKE" in line]
    assert len(rows) == len(rises) > 5
    assert all(rise in row for rise, row in zip(rises, rows, strict=True))
    assert "above 10 degrees" in table


def test_start_and_elevation_are_options() -> None:
    code, table, _ = run(
        "passes", "--tle", TLE, "--site", "Troll", "--hours", "2", "--start", "2026-01-05T12:00:00",
        "--min-elevation", "5",
    )  # fmt: skip
    assert code == 0
    assert "2 h from 2026-01-05T12:00:00 UTC, above 5 degrees" in table
    assert "01-05 1" in table


def test_passes_that_the_span_cuts_are_told_as_such() -> None:
    """Of the pass from 0:20:50 over 0:23:00 to 0:25:10, the span shows some of its beginning, its end or its middle."""

    def row(start: str, hours: str) -> list[str]:
        _, table, _ = run(
            "passes", "--tle", TLE, "--site", "Svalbard", "--start", f"2026-01-01T00:{start}", "--hours", hours
        )
        assert "the span cuts this pass" in table
        return next(line for line in table.splitlines() if "3A" in line).split()[1:]

    assert row("12:00", "0.15") == ["01-01", "00:20:50", ">", "00:21:00", ">", "10.3°", ">", "00:21:00", ">", "0:09"]
    assert row("24:00", "0.1") == ["<", "01-01", "00:24:00", "<", "00:24:00", ">", "11.8°", "00:25:10", ">", "1:11"]
    assert row("22:00", "0.05") == ["<", "01-01", "00:22:00", "00:23:00", "12.3°", ">", "00:25:00", ">", "3:00"]
    assert "cuts" not in run("passes", "--tle", TLE, "--site", "Svalbard", "--hours", "1.1")[1]


def test_a_span_without_a_pass_is_told_in_words() -> None:
    code, told, _ = run("passes", "--tle", TLE, "--site", "Svalbard", "--hours", "0.1")
    assert code == 0
    assert " ".join(told.split()) == "Svalbard: no pass above 10 degrees in 0.1 h from 2026-01-01T00:00:00 UTC"


def test_shipped_samples_go_by_name() -> None:
    assert run("passes", "--tle", "sentinel-like", "--site", "Troll", "--hours", "2") == run(
        "passes", "--tle", TLE, "--site", "Troll", "--hours", "2"
    )


def test_sites_are_listed() -> None:
    code, table, _ = run("sites")
    assert code == 0
    assert all(name in table for name in sites())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tle", "absent.tle", "--site", "Kiruna"), "there is no file of orbital elements"),
        (("--tle", "sentinel_like", "--site", "Kiruna"), "did you mean 'sentinel-like'"),
        (("--tle", TLE, "--site", "Kirunna"), "did you mean 'Kiruna'"),
        (("--tle", TLE, "--site", "Kiruna", "--start", "2030-01-01"), "epoch must be within 30 days"),
        (("--tle", TLE, "--site", "Kiruna", "--start", "soon"), "epoch must be an ISO 8601"),
    ],
)
def test_errors_are_one_line_and_no_traceback(arguments: tuple[str, ...], message: str) -> None:
    code, _, error = run("passes", *arguments)
    assert code == 2
    assert message in error
    assert "Traceback" not in error


def test_names_are_printed_as_they_are_and_control_characters_as_escapes(tmp_path: Path) -> None:
    lines = Path(TLE).read_text(encoding="utf-8").splitlines()
    (tmp_path / "names.tle").write_text("\n".join(["SAT [/x] [bold]A :smile:", *lines[2:4], "\x1b[2JB", *lines[5:7]]))
    code, table, _ = run("passes", "--tle", str(tmp_path / "names.tle"), "--site", "Svalbard", "--hours", "6")
    assert code == 0
    assert "SAT [/x] [bold]A :smile:" in table
    assert r"\x1b[2JB" in table
    assert "\x1b" not in table
    (tmp_path / "names.tle").write_text("\n".join(["[/x]", *lines[2:4], "\x1b[2J", *lines[2:4]]))
    code, _, error = run("passes", "--tle", str(tmp_path / "names.tle"), "--site", "Svalbard")
    assert code == 2
    assert r"got '[/x]' and '\x1b[2J'" in error


def test_a_name_of_two_lines_stays_in_its_row(tmp_path: Path) -> None:
    rows = list(csv.DictReader(samples()["polar-like"].read_text(encoding="utf-8").splitlines()[1:]))
    path = tmp_path / "omm.json"
    path.write_text(json.dumps([{**rows[0], "OBJECT_NAME": "TWO\nLINES"}]), encoding="utf-8")
    code, table, _ = run("passes", "--tle", str(path), "--site", "Svalbard", "--hours", "6")
    assert code == 0
    assert r"TWO\nLINES" in table
