"""Commands that are killed at any moment, again and again, end in the same files as undisturbed ones."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MAIN = "from satfl_env.commands import main; main()"
FAST = ("--set", "training.engine=none", "--set", "data.partition.samples=[15, 20]")
DIGITS = ("--set", "data.source=digits")  # need no folder of data
COMPARE = ("compare", *FAST, "--rounds", "3", "--seeds", "3", "--policies", "full,random")
EVALUATE = (
    *("evaluate", *FAST, "--set", "rounds.episode=2", "--seeds", "3"),
    *("--against", "full,random", "--policy", "fine"),
)
COMMANDS = {
    "compare": COMPARE,
    "compare with two workers": (*COMPARE, "--workers", "2"),
    "evaluate": EVALUATE,
    "tune-rules": (
        *("tune-rules", *FAST, "--set", "rounds.episode=1"),
        *("--generations", "2", "--population", "4", "--seeds", "1", "--checks", "2"),
    ),
    "reproduce": ("reproduce", "fig2", "fig3", *FAST, *DIGITS, "--set", "rounds.episode=2", "--seeds", "2"),
}


# Runs a command as often as told, each time killed where a file would get its name, after as many others had theirs.
# Forks of a process that has imported everything start at once.
KILLED_WHILE_WRITING = """
import itertools, os, signal, sys
from satfl_baselines import comparison, results, tables
from satfl_env.commands import make_app
from satfl_env.drawing import own_style
with own_style():
    from satfl_baselines import plot

def run(after, arguments):
    replace, count = os.replace, itertools.count()

    def killed(*paths):
        if next(count) == after:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    os.replace = killed
    make_app()(arguments)

runs, *arguments = sys.argv[1:]
for one in runs.split():
    out, after = one.split(":")
    child = os.fork()
    if child == 0:
        run(int(after), [*arguments, "--out", out])
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr)
"""

KILLS = int(os.environ.get("SATFL_KILLS", "50"))


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(*arguments: str) -> None:
    process = start(*arguments)
    _, told = process.communicate()
    assert process.returncode == 0, told.decode()


def files(folder: Path) -> dict[str, bytes]:
    """All files but the lock, whose content says nothing, and those that tell of times."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in (".lock", "run.json", "log.txt")
    }


def test_a_comparison_killed_while_it_writes_ends_in_the_same_files(tmp_path):
    """The manifest, the second episode, a table and the picture are each lost once."""
    short = ("compare", *FAST, "--rounds", "2", "--seeds", "1", "--policies", "full,random", "--json", "-")
    runs = "whole:99 broken:0 broken:4 broken:4 broken:7 broken:99"
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, runs, *short], capture_output=True, text=True, cwd=tmp_path
    )
    ends = [int(line) for line in done.stderr.splitlines() if re.fullmatch(r"-?\d+", line)]
    assert ends == [0, *[-signal.SIGKILL] * 4, 0], done.stderr
    assert files(tmp_path / "broken") == files(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_commands_end_in_the_same_files(tmp_path, command):
    began = time.monotonic()
    finish(*COMMANDS[command], "--out", str(tmp_path / "whole"))
    took_s = time.monotonic() - began
    moments, killed, folders = random.Random(0), 0, 0
    while killed < KILLS:
        broken = tmp_path / f"broken-{folders}"
        process = start(*COMMANDS[command], "--out", str(broken))
        try:
            process.communicate(timeout=moments.uniform(0.0, took_s))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()  # the workers hold this pipe until they end, too
            killed += 1
        assert process.returncode in (0, -signal.SIGKILL)
        if process.returncode == 0 or killed == KILLS:
            finish(*COMMANDS[command], "--out", str(broken))
            assert files(broken) == files(tmp_path / "whole")
            folders += 1
    print(f"{killed} kills of {command}, {folders} folders")


@pytest.mark.slow
def test_two_evaluations_at_once_end_in_the_same_files_as_one(tmp_path):
    finish(*EVALUATE, "--out", str(tmp_path / "alone"))
    together = [start(*EVALUATE, "--out", str(tmp_path / "together")) for _ in range(2)]
    told = [process.communicate()[1].decode() for process in together]
    assert [process.returncode for process in together] == [0, 0], told
    assert files(tmp_path / "together") == files(tmp_path / "alone")
