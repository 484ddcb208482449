"""Output of commands: tables, messages, and errors in a line each.

What is printed is never read as markup, and control characters in it are written as escapes: names of scenarios,
policies and folders are the user's.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.text import Text

from satfl_env.commands import log
from satfl_env.printable import printable

# Wide enough for any table.
_WIDE = 160
# One of several problems in a message, below its first line.
_PROBLEM = re.compile(r"  \S")


class _PlainConsole(Console):
    """A console that shows text as it is, and has it kept in the log."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; see `rich.console.Console.print`."""
        super().print(*objects, **options)
        # Bars move by control codes.
        if log.is_kept() and not any(isinstance(it, Control) for it in objects):
            text = StringIO()
            Console.print(_PlainConsole(file=text, width=_WIDE), *objects, **options)
            log.keep(text.getvalue())

    def render_str(self, text: str, **options: Any) -> Text:
        """Text to print, line by line."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)


def output_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for any table where there is none."""
    console = _PlainConsole()
    return console if console.is_terminal else _PlainConsole(width=_WIDE)


def error_console() -> Console:
    """Standard error, for progress and messages."""
    return _PlainConsole(stderr=True)


def say(console: Console, message: str, style: str | None = None) -> None:
    """Print a message in one line."""
    console.print(printable(message), style=style, soft_wrap=True)


def say_error(message: str) -> None:
    """Print what is wrong on standard error, in one line, or in one for each of several problems."""
    first, *others = f"error: {message}".splitlines()
    several = first.endswith(":") and len(others) > 1 and all(map(_PROBLEM.match, others))
    for line in (first, *others) if several else [" ".join([first, *others])]:
        say(error_console(), line if several else " ".join(line.split()), "red")


def say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning in one line on standard error, in place of `warnings.showwarning`."""
    say(error_console(), f"warning: {' '.join(str(message).split())}", "yellow")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End with what is wrong and no traceback: exit code 2 on bad input, 1 if package, memory or run fail."""
    try:
        yield
    except BrokenPipeError:
        # Whoever reads the output may stop at any time, as `head` does. Python writes what is left when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
        say_error(str(error) or type(error).__name__)
        raise SystemExit(2 if isinstance(error, ValueError | TypeError | OSError) else 1) from error
