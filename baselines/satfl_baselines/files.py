"""Files of results: each appears whole or not at all, and a folder has one writer at a time."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import yaml
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from satfl_env import __version__
from satfl_env.drawing import DEFAULT_FORMATS, UNDATED, own_style
from satfl_env.paths import require_file
from satfl_env.scenarios.errors import plain_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PART, LOCK = ".part", ".lock"
# Writing takes a moment; whoever holds a folder for longer is stuck.
LONGEST_WAIT_S = 60.0


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Keep others from writing into a folder meanwhile; it is made if it is not there.

    The system takes the lock from a process that ends. What killed processes left half written is cleared away.

    Raises:
        OSError: If another process does not let go of the folder, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # One lock for a folder, which its holder may take once more.
        lock = FileLock(folder / LOCK, timeout=LONGEST_WAIT_S, poll_interval=0.01, is_singleton=True)
        held = lock.acquire()
    except Timeout as error:
        raise OSError(f"folder {str(folder)!r} is held by another process") from error
    except OSError as error:
        raise OSError(f"folder {str(folder)!r} cannot be made or written: {error.strerror}; choose another") from error
    with held:
        for part in folder.glob(f"**/*{PART}"):
            part.unlink(missing_ok=True)
        yield


def require_place(path: Path, what: str, endings: Collection[str]) -> Path:
    """The path of a file that is to be written, checked before what it shows is made.

    Raises:
        OSError: If it is a folder, or its folder is not there.
        ValueError: If the name has none of the endings, such as `.html`, in upper or lower case.
    """
    if path.is_dir():
        raise OSError(f"{what} {str(path)!r} is a folder; name a file in it")
    if path.suffix.lower() not in endings:
        raise ValueError(f"the name of a {what} must end in {', '.join(endings)}, got {str(path)!r}")
    if not path.parent.is_dir():
        raise OSError(f"folder {str(path.parent)!r} of the {what} {path.name!r} is not there; make it first")
    return path


def is_new(folder: Path) -> bool:
    """Whether a folder is not there, or holds at most files that were never finished."""
    return not folder.is_dir() or all(file.suffix == PART or file.name == LOCK for file in folder.iterdir())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half written, even if the machine stops.

    Raises:
        OSError: If it cannot be written; what was there before then stays.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # a device or a pipe takes it as it comes, /dev/stdout among them
        return
    path = Path(os.path.realpath(path))
    part = path.with_name(uuid4().hex + PART)
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            part.unlink()


def write_json(path: Path, content: Any) -> None:
    """Write JSON; numbers that are not finite, which it cannot express, become null."""
    write_whole(path, (json.dumps(expressible(content), indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path, form: Any) -> Any:
    """What a JSON file holds, checked against a form that pydantic knows, strictly.

    Raises:
        ValueError: If the file is damaged or holds something else; the message names it.
        OSError: If it cannot be read.
    """
    try:
        require_file(path)
    except ValueError as error:
        raise ValueError(f"file {str(path)!r}: {error}; choose another folder") from error
    try:
        return TypeAdapter(form).validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        raise damaged(path, first_problem(error)) from error


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, with its place, in one line."""
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # After the place pydantic names the check that failed.
    place = ".".join(map(str, problem["loc"])).partition(".function-")[0]
    message = plain_words(problem)
    return f"{place}: {message}" if place else message


def damaged(path: Path, problem: str) -> ValueError:
    """The error for a file that does not hold what it should."""
    return ValueError(f"file {str(path)!r} is damaged ({problem}); delete it, or choose another folder")


def of_another_version(path: Path, problem: str, version: Any) -> ValueError:
    """The error for a file that is whole, and that a version of the package wrote which keeps other things."""
    return ValueError(
        f"file {str(path)!r} was written by another state of the package, satfl {version}, and this is satfl "
        f"{__version__} ({problem}); read it with the one that wrote it, or play again in another folder"
    )


def number_or_nan(number: float | None) -> float:
    """A number as JSON has it, where null stands for one that is not finite."""
    return math.nan if number is None else number


def write_yaml(path: Path, content: Any, heading: str = "") -> None:
    """Write YAML, the keys in their order, below a line of comment if one is given."""
    write_whole(path, (heading + yaml_text(content)).encode())


def yaml_text(content: Any) -> str:
    """Content as YAML, the keys in their order."""
    return str(yaml.safe_dump(expressible(content), sort_keys=False, allow_unicode=True, width=100))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write rows that have the same columns as CSV; `columns` name them where there may be no rows."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys() if columns is None else columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Names may hold halves of characters that no encoding has.
    write_whole(path, text.getvalue().encode(errors="backslashreplace"))


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write rows as CSV and, under the same name, as JSON: a list of the rows; see `write_csv`."""
    write_csv(path, rows, columns)
    write_json(path.with_suffix(".json"), rows)


def write_figure(path: Path, figure: Figure, formats: Sequence[str] = DEFAULT_FORMATS) -> None:
    """Write a picture in some formats of `satfl_env.drawing`, each to a file of its own: `<path>.<format>`."""
    for name in formats:
        picture = io.BytesIO()
        with own_style():
            figure.savefig(picture, format=name, metadata=UNDATED.get(name))
        write_whole(path.with_name(f"{path.name}.{name}"), picture.getvalue())


def expressible(content: Any) -> Any:
    """Content that JSON can express: without numbers that are not finite, or halves of characters."""
    if isinstance(content, Mapping):
        return {expressible(key): expressible(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [expressible(value) for value in content]
    if isinstance(content, str):
        return content.encode(errors="backslashreplace").decode()
    return None if isinstance(content, float) and not math.isfinite(content) else content
