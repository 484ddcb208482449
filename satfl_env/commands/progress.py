"""How far a command is: a bar on a terminal, and a line now and then where there is none."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta

from rich.console import Console

from satfl_env.commands.console import say
from satfl_env.commands.log import keep

# A line is due when so much more is finished, but never sooner than after the first of these times; then after the
# second at the latest.
STEP_SHARE = 0.1
SHORTEST_S, LONGEST_S = 1.0, 30.0


class Pace:
    """Tells how far something is, how fast it goes and how long it will take.

    Args:
        unit: What is counted, such as "episodes".
        now_s: A clock, in s.
    """

    def __init__(self, unit: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._unit, self._now_s = unit, now_s
        self._start_s = now_s()
        self._there: int | None = None
        self._told, self._told_s = 0, -math.inf

    def line(self, finished: int, total: int) -> str | None:
        """The line about these numbers if one is due, else None.

        Args:
            finished: How many are finished; those of the first call were there already and tell nothing of the rate.
            total: How many there are.
        """
        now_s = self._now_s()
        if self._there is None:
            self._there, self._start_s = finished, now_s
        if finished == self._told or not self._due(finished, total, now_s - self._told_s):
            return None
        self._told, self._told_s = finished, now_s
        return f"{self._unit}: {finished} of {total} ({finished / total:.0%}){self._rate(finished, total, now_s)}"

    def _due(self, finished: int, total: int, passed_s: float) -> bool:
        far_enough = finished - self._told >= STEP_SHARE * total and passed_s >= SHORTEST_S
        return finished == total or far_enough or passed_s >= LONGEST_S

    def _rate(self, finished: int, total: int, now_s: float) -> str:
        """Rate and time left, once something was finished here."""
        assert self._there is not None
        played, passed_s = finished - self._there, now_s - self._start_s
        if played <= 0 or passed_s <= 0:
            return ""
        per_s = played / passed_s
        rate = f"{per_s:.3g} per s" if per_s >= 1 else f"{60 * per_s:.3g} per min"
        left = timedelta(seconds=round((total - finished) / per_s))
        return f", {rate}, {left} left" if finished < total else f", {rate}"


@contextmanager
def progress_bar(console: Console, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress; yields a function that takes the numbers of finished and of all units.

    Nothing is shown before something is finished, so that an error of the first moment stands alone. Lines are kept in
    the log even where a terminal has a bar in their place.
    """
    pace = Pace(unit)
    tell = keep if console.is_terminal else lambda line: say(console, line)
    with _bar(console, unit) if console.is_terminal else nullcontext(lambda finished, total: None) as show:

        def advance(finished: int, total: int) -> None:
            show(finished, total)
            if line := pace.line(finished, total):
                tell(line)

        yield advance


@contextmanager
def _bar(console: Console, unit: str) -> Iterator[Callable[[int, int], None]]:
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
        try:
            yield lambda finished, total: bar.update(task, completed=finished, total=total)
        except Exception:
            bar.live.transient = not bar.tasks[task].completed
            raise
