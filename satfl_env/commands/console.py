"""Output of commands: tables, progress, and errors in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console


def output_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for any table where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


@contextmanager
def one_line_errors(console: Console) -> Iterator[None]:
    """End with one line and no traceback: exit code 2 on bad input, 1 if a package is missing or the run fails."""
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        message = " ".join(str(error).split())
        console.print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2 if isinstance(error, ValueError | TypeError | OSError) else 1) from error


@contextmanager
def progress_bar(console: Console, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; yields a function that takes the numbers of finished and of all units."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(unit)
        yield lambda finished, total: bar.update(task, completed=finished, total=total)
