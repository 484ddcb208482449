"""What every command leaves in its folder beside its results: how they were made.

`run.json` has the command and all its options, seeds, own policies and parts by their qualified names, versions, when
it started and when it was finished; of the last command, where several have filled the folder. `log.txt` has what they
all said, every line with its time.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from satfl_env.commands import command_line, error_console, progress_bar
from satfl_env.commands.doctor import versions
from satfl_env.commands.log import Log, kept_in

RUN, LOG = "run.json", "log.txt"


class CommandRecord:
    """The record of a command, which begins once its folder is known to be its own: another's is left as it is.

    Args:
        folder: The folder that the command was given.
        content: What `run.json` holds.
        log: What was said so far.
    """

    def __init__(self, folder: Path, content: dict[str, Any], log: Log) -> None:
        self._folder, self._content, self._log = folder, content, log
        self._begun = False

    def begin(self) -> None:
        """Write what is known so far, unless that is done already."""
        if self._begun:
            return
        self._begun = True
        self._write()
        self._log.open(self._folder / LOG)

    def finish(self) -> None:
        """Write when the command was finished."""
        self.begin()
        self._content["finished"] = _now()
        self._write()

    @contextmanager
    def progress(self, unit: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar, see `progress_bar`; its first call begins the record."""
        with progress_bar(error_console(), unit) as advance:

            def begin_and_advance(finished: int, total: int) -> None:
                self.begin()
                advance(finished, total)

            yield begin_and_advance

    def _write(self) -> None:
        # It takes a moment to import, which --help need not wait for.
        from satfl_baselines.files import one_writer, write_json

        with one_writer(self._folder):
            write_json(self._folder / RUN, self._content)


@contextmanager
def recorded(
    context: typer.Context, folder: Path, seeds: Sequence[int] = (), **brought: Any
) -> Iterator[CommandRecord]:
    """Record a command, until it is finished or fails.

    Args:
        context: The command and its options.
        folder: The folder that it was given.
        seeds: The seeds that it plays.
        **brought: What the user brought: own policies, parts, reward.
    """
    from satfl_baselines.qualified import describe

    log = Log()
    content = {
        "command": command_line(),
        "options": {name: _plain(value) for name, value in context.params.items()},
        "seeds": list(seeds),
        **describe(brought),
        "versions": versions(),
        "system": platform.platform(),
        "started": _now(),
        "finished": None,
    }
    with kept_in(log):
        log.write(f"$ {content['command']}")
        record = CommandRecord(folder, content, log)
        try:
            yield record
        except Exception as error:
            log.write(f"error: {error}")
            raise
        record.finish()


def read_run(folder: Path) -> dict[str, Any] | None:
    """What a folder's last command recorded of itself; None where there is no record.

    Raises:
        ValueError: If the record is damaged; it is named.
    """
    from satfl_baselines.files import read_json

    file = folder / RUN
    run: dict[str, Any] | None = read_json(file, dict[str, Any]) if file.exists() else None
    return run


def _plain(value: Any) -> Any:
    """An option's value as JSON has it."""
    if isinstance(value, list | tuple):
        return [_plain(it) for it in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
