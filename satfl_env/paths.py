"""Paths as users write them."""

from __future__ import annotations

import os
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
