"""Ctrl-C and SIGTERM end a command at once and in one line, whatever it is doing.

Nothing has to be put in order first: files of results appear whole or not at all, and workers end with the command.
"""

from __future__ import annotations

import multiprocessing
import os
import shlex
import signal
import sys
from multiprocessing import resource_tracker
from threading import Thread
from types import FrameType

from satfl_env.commands.log import keep
from satfl_env.printable import printable

_SHOW_CURSOR = "\x1b[?25h"
_again = "to start it again"


def keeps_what_is_finished() -> None:
    """From now on, an interrupt says that the same command goes on from what is finished."""
    global _again
    _again = "to go on from what is finished"


def command_line() -> str:
    """The command that this process runs, as it was typed."""
    return shlex.join(["satfl", *sys.argv[1:]])


def end_on_signals() -> None:
    """From now on, end this process on Ctrl-C with exit code 130, and on SIGTERM with 143."""
    # The resource tracker clears away what a process leaves that ends at once, and need not complain.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    if not hasattr(signal, "pthread_sigmask"):
        return
    # A terminal sends Ctrl-C to workers as well. They inherit the mask and leave it to their parent, even while they
    # start. A thread waits for the signal, since the main one may be inside a long computation.
    resource_tracker.ensure_running()  # when it starts, it lifts the mask
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    Thread(target=lambda: _end(signal.sigwait({signal.SIGINT})), daemon=True).start()


def _end(number: int, _: FrameType | None = None) -> None:
    try:
        for process in multiprocessing.active_children():
            process.kill()
        message = f"interrupted; {_again}: {printable(command_line())}"
        # A progress bar hides the cursor, and leaves it at the end of its line.
        before = f"{_SHOW_CURSOR}\n" if sys.stderr.isatty() else ""
        print(f"{before}{message}", file=sys.stderr, flush=True)
        keep(message)
    finally:
        os._exit(128 + number)
