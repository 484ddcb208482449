"""Files of results: each appears whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PART = ".part"


def is_new(folder: Path) -> bool:
    """Whether a folder is not there, or holds at most files that were never finished."""
    return not folder.exists() or all(file.suffix == PART for file in folder.iterdir())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half written."""
    part = path.with_name(path.name + PART)
    part.write_bytes(content)
    os.replace(part, path)


def write_json(path: Path, content: Any) -> None:
    """Write JSON; numbers that are not finite, which it cannot express, become null."""
    write_whole(path, (json.dumps(_finite(content), indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """What a JSON file holds; raises `ValueError` that names the file if it is damaged."""
    return _read(path)


def read_numbers(path: Path) -> Any:
    """The same for a file of records of numbers, in which null is NaN."""
    return _read(path, object_hook=lambda record: {k: math.nan if v is None else v for k, v in record.items()})


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write rows that have the same columns as CSV; `columns` name them where there may be no rows."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys() if columns is None else columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def write_png(path: Path, figure: Figure) -> None:
    """Write a picture."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_whole(path, picture.getvalue())


def _read(path: Path, **options: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"), **options)
    except json.JSONDecodeError as error:
        raise ValueError(f"file {str(path)!r} is damaged ({error}); delete it, or choose another folder") from error


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
