"""What is printed: the user's text as it is, in any terminal, until a signal ends the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from typer.testing import CliRunner

from satfl_env.commands import console, make_app, progress_bar
from satfl_env.commands.show import show
from satfl_env.commands.streams import prepare_streams
from satfl_env.printable import printable

HOSTILE = "a [bold]b[/run] :smile: \x1b[31m\x07\x9b2J\u202e"
SHOWN = r"a [bold]b[/run] :smile: \x1b[31m\x07\x9b2J\u202e"
MAIN = "from satfl_env.commands import main; main()"
# A command that waits with a worker, which tells that it is there.
WAITING = """
import multiprocessing, sys, time
from satfl_env.commands.interrupts import end_on_signals, keeps_what_is_finished

def work():
    print("ready", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    end_on_signals()
    if "--out" in sys.argv:
        keeps_what_is_finished()
    multiprocessing.get_context("spawn").Process(target=work, daemon=True).start()
    time.sleep(60)
"""


@given(st.text(st.characters(codec=None)))
def test_what_is_printable_stays_and_nothing_else_gets_through(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    assert text.isprintable() == (printable(text) == text)


def test_text_is_neither_markup_nor_control(monkeypatch):
    monkeypatch.setattr(sys, "stdout", shown := StringIO())
    output = console.output_console()
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    output.print(table)
    output.print(HOSTILE)
    console.say(output, f"{HOSTILE}\nmore")
    assert shown.getvalue().count(SHOWN) == 5
    assert rf"{SHOWN}\nmore" in shown.getvalue()
    assert "\x1b" not in shown.getvalue()


@pytest.mark.parametrize("arguments", [["list", HOSTILE], ["show", HOSTILE], [HOSTILE], ["list", f"--{HOSTILE}"]])
def test_errors_show_arguments_as_they_are_in_one_line(arguments):
    result = CliRunner().invoke(make_app(), arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert SHOWN in result.stderr.replace("\\\\", "\\")


def test_each_of_several_problems_has_a_line():
    both = ("training.batch_size=0", "rounds.epsiode=3\n")
    for wrong, lines in ((both, 3), (both[:1], 1), (both[1:], 1)):
        settings = [word for change in wrong for word in ("--set", change)]
        told = CliRunner().invoke(make_app(), ["show", "leo-multitask", *settings]).stderr.splitlines()
        assert len(told) == lines
        assert told[0].startswith("error: scenario 'leo-multitask' is not valid:")
        for line, change in zip(told[-len(wrong) :], wrong, strict=True):
            assert change.partition("=")[0] in line


@pytest.mark.parametrize("finished", [0, 1])
def test_a_progress_bar_is_not_left_before_an_error_of_the_first_moment(monkeypatch, finished):
    monkeypatch.setattr(sys, "stderr", shown := StringIO())

    def fail() -> None:
        with progress_bar(console.error_console(), "episodes") as progress:
            progress(finished, 100)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert ("episodes" in shown.getvalue()) == (finished > 0)


def test_warnings_are_one_line_without_a_place_in_the_code():
    message = f"{HOSTILE}two\nlines"
    code = f"import atexit, warnings; atexit.register(warnings.warn, {message!r}); {MAIN}"
    told = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True).stderr
    assert told == f"warning: {SHOWN}two lines\n"


def ascii_output(monkeypatch) -> BytesIO:
    """Standard output of a terminal that has nothing but ASCII."""
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, "ascii", write_through=True))
    return written


def test_a_scenario_is_shown_in_what_the_terminal_has(tmp_path, monkeypatch):
    written = ascii_output(monkeypatch)
    show("leo-multitask")
    text = written.getvalue().decode()
    (tmp_path / "own.yaml").write_text(text.replace("name: leo-multitask", r'name: "\xe9\e\u202e"'))
    show(str(tmp_path / "own.yaml"))
    assert rb'name: "\xE9\e\u202E"' in written.getvalue()


def test_what_a_terminal_lacks_is_spelt(monkeypatch):
    written = ascii_output(monkeypatch)
    prepare_streams()
    table = Table("a", title="1 ± 2")
    table.add_row("3° é")
    console.output_console().print(table)
    assert b"1 +- 2" in written.getvalue()
    assert rb"3 deg \xe9" in written.getvalue()


@pytest.mark.parametrize("shell", [">&-", "2>&-", "| head -n 1"])
def test_streams_that_are_closed_are_no_traceback(shell):
    result = subprocess.run(
        ["bash", "-c", f'"$@" {shell}', "bash", sys.executable, "-c", MAIN, "--help"], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("number", "whom", "option", "hint"),
    [
        (signal.SIGINT, os.killpg, "--out", "to go on from what is finished"),
        (signal.SIGINT, os.kill, "--steps", "to start it again"),
        (signal.SIGTERM, os.kill, "--out", "to go on from what is finished"),
    ],
)
def test_a_signal_ends_a_command_and_its_workers_in_one_line(tmp_path, number, whom, option, hint):
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    command = [sys.executable, str(script), option, "two words"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "ready\n"
    whom(process.pid, number)
    whom(process.pid, number)
    # The pipes end with the last process that holds them.
    _, told = process.communicate(timeout=5)
    assert process.returncode == 128 + number
    assert told == f"interrupted; {hint}: satfl {option} 'two words'\n"
