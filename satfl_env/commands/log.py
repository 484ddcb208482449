"""What a command says, kept in a file beside its results: every line with the time at which it was said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


class Log:
    """Lines of a command, which wait in memory until it is known which folder they belong to."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._file: int | None = None

    def open(self, path: Path) -> None:
        """Append all lines to a file from now on, each at once: none is lost if the process is killed.

        Raises:
            OSError: If it cannot be written.
        """
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(self._file, "".join(self._waiting).encode(errors="backslashreplace"))

    def write(self, text: str) -> None:
        """Keep the lines of a text, if it has any that are not blank."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = "".join(f"{now} {line.rstrip()}\n" for line in text.splitlines() if line.strip())
        if self._file is None:
            self._waiting.append(lines)
        else:
            os.write(self._file, lines.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Leave the file as it is."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


# Of the command that this process runs.
_logs: list[Log] = []


@contextmanager
def kept_in(log: Log) -> Iterator[None]:
    """Keep what is said meanwhile."""
    _logs.append(log)
    try:
        yield
    finally:
        _logs.remove(log)
        log.close()


def is_kept() -> bool:
    """Whether what is said is kept."""
    return bool(_logs)


def keep(text: str) -> None:
    """Keep a text that was said, if there is a log."""
    for log in _logs:
        log.write(text)
