"""Standard output and error that take any text: no terminal is a reason to fail."""

from __future__ import annotations

import codecs
import io
import os
import sys

_SPELT = {"±": "+-", "°": " deg", "…": "..."}


def prepare_streams() -> None:
    """Write what a stream's encoding lacks in other characters, and what goes to a closed stream nowhere."""
    codecs.register_error("spelt", _spell)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (it lasts as long as the process)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelt")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    return _SPELT.get(character) or character.encode("ascii", "backslashreplace").decode(), error.start + 1
