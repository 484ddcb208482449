"""Commands that are killed at any moment, again and again, end in the same files as undisturbed ones."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MAIN = "from satfl_env.commands import main; main()"
FAST = ("--set", "training.engine=none", "--set", "data.partition.samples=[15, 20]")
COMPARE = ("compare", *FAST, "--rounds", "3", "--seeds", "3", "--policies", "full,random")
COMMANDS = {
    "compare": COMPARE,
    "compare with two workers": (*COMPARE, "--workers", "2"),
    "reproduce": ("reproduce", "fig2", "fig3", *FAST, "--set", "rounds.episode=2", "--seeds", "2"),
}


KILLS = int(os.environ.get("SATFL_KILLS", "50"))


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def finish(*arguments: str) -> None:
    process = start(*arguments)
    _, told = process.communicate()
    assert process.returncode == 0, told.decode()


def files(folder: Path) -> dict[str, bytes]:
    """All files but the lock, whose content says nothing."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


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
