"""Lines of progress where there is no terminal: now and then, with rate and time left."""

from __future__ import annotations

import sys
from io import StringIO
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from satfl_env.commands import error_console, progress_bar
from satfl_env.commands.log import Log, kept_in
from satfl_env.commands.progress import LONGEST_S, SHORTEST_S, Pace


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def told(steps: list[tuple[float, int]], total: int) -> list[tuple[float, str]]:
    """Lines with their times, where (seconds passed, newly finished) follow each other."""
    now_s, finished, lines = 0.0, 0, []
    pace = Pace("episodes", lambda: now_s)
    pace.line(0, total)
    for passed_s, new in steps:
        now_s, finished = now_s + passed_s, min(total, finished + new)
        if line := pace.line(finished, total):
            lines.append((now_s, line))
    return lines


def test_a_line_has_share_rate_and_time_left():
    assert [line for _, line in told([(10.0, 20), (20.0, 20)], 100)] == [
        "episodes: 20 of 100 (20%), 2 per s, 0:00:40 left",
        "episodes: 40 of 100 (40%), 1.33 per s, 0:00:45 left",
    ]
    assert told([(120.0, 1)], 2) == [(120.0, "episodes: 1 of 2 (50%), 0.5 per min, 0:02:00 left")]
    assert told([(1.0, 2)], 2) == [(1.0, "episodes: 2 of 2 (100%), 2 per s")]


def test_what_was_there_before_tells_nothing_of_the_rate():
    times = iter([0.0, 0.0, 10.0])
    pace = Pace("episodes", lambda: next(times))
    assert pace.line(50, 100) == "episodes: 50 of 100 (50%)"
    assert pace.line(60, 100) == "episodes: 60 of 100 (60%), 1 per s, 0:00:40 left"


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(0, 30)), max_size=60), st.integers(1, 500))
def test_lines_are_neither_many_nor_missing(steps, total):
    lines = told(steps, total)
    times = [time for time, _ in lines]
    finals = sum(line.startswith(f"episodes: {total} of") for _, line in lines)
    assert finals == (sum(new for _, new in steps) >= total)
    gaps = [after - before for before, after in pairwise(times)]
    assert all(gap >= SHORTEST_S * (1 - 1e-9) for gap in gaps[: len(gaps) - finals])
    assert len(lines) <= 12 + sum(time for time, _ in steps) / LONGEST_S


def test_without_a_terminal_there_are_lines_and_no_control_characters(monkeypatch):
    monkeypatch.setattr(sys, "stderr", shown := StringIO())
    with progress_bar(error_console(), "episodes") as progress:
        progress(0, 2)
        progress(2, 2)
    assert shown.getvalue().startswith("episodes: 2 of 2 (100%), ")
    assert shown.getvalue().count("\n") == 1
    assert "\x1b" not in shown.getvalue()


def test_a_terminal_has_a_bar_and_its_log_lines(monkeypatch, tmp_path):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", shown := Terminal())
    log = Log()
    with kept_in(log), progress_bar(error_console(), "episodes") as progress:
        log.open(tmp_path / "log.txt")
        progress(0, 2)
        progress(2, 2)
    assert "\x1b" in shown.getvalue()
    (line,) = (tmp_path / "log.txt").read_text().splitlines()
    assert " episodes: 2 of 2 (100%), " in line
