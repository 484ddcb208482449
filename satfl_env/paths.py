"""Paths as users write them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator


def _as_text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


# A setting that holds a path: text, or any object that stands for one.
PathText = Annotated[str, BeforeValidator(_as_text)]


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path whose leading `~` or `~user` is replaced by that home.

    Raises:
        ValueError: If there is no such home, or no file can have this name.
    """
    text = os.fspath(path)
    try:
        if b"\0" in os.fsencode(text):
            raise ValueError("holds a null character")
        return Path(text).expanduser()
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"path {text!r}: {error}") from error


def require_file(path: Path) -> None:
    """Refuse folders, pipes and devices: reading these may never end.

    Raises:
        ValueError: If the path leads to anything but a file; the caller names it.
        OSError: If it leads nowhere.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
