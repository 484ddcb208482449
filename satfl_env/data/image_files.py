"""Finding image files: one folder for each class, without what operating systems and editors leave there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# Beside names that begin with a dot: folders of copies and of thumbnails.
_NOT_MINE = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})


class ClassFiles(NamedTuple):
    """Image files with their classes: `labels[i]`, the class of `paths[i]`, is an index into `names`."""

    names: tuple[str, ...]
    paths: list[Path]
    labels: list[int]


def find_class_files(root: Path) -> ClassFiles:
    """The image files in the folders of `root`, at any depth; both sorted by name.

    Files whose names do not end like those of images (`ENDINGS`, in any case) are no images, and names that begin with
    a dot are hidden.

    Raises:
        FileNotFoundError: there is no class folder, or one without images; the message names it.
        ValueError: a link leads nowhere or back to a folder that holds it.
        OSError: a folder cannot be read.
    """
    names = [name for name, is_folder in _entries(root) if is_folder]
    if not names:
        raise FileNotFoundError(f"no class folder in {str(root)!r}, one folder of images for each class is needed")
    found = ClassFiles(tuple(names), [], [])
    for label, name in enumerate(names):
        paths = [path for path in walk_files(root / name) if path.suffix.lower() in ENDINGS]
        if not paths:
            raise FileNotFoundError(f"no image in class folder {str(root / name)!r}, allowed are {', '.join(ENDINGS)}")
        found.paths.extend(paths)
        found.labels.extend([label] * len(paths))
    return found


def walk_files(folder: Path) -> list[Path]:
    """All files in a folder at any depth that are not hidden, sorted by folder, then by name; links are followed.

    Raises:
        ValueError: a link leads nowhere or back to a folder that holds it.
        OSError: a folder cannot be read.
    """
    return [Path(place) / name for place, names in sorted(_walk(str(folder), ())) for name in names]


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    real = os.path.realpath(folder)
    if real in above:
        raise ValueError(f"{folder!r} is a link back to a folder that holds it")
    entries = _entries(folder)
    yield folder, [name for name, is_folder in entries if not is_folder]
    for name, is_folder in entries:
        if is_folder:
            yield from _walk(os.path.join(folder, name), (*above, real))


def _entries(folder: str | Path) -> list[tuple[str, bool]]:
    """Names in a folder that are not hidden, sorted, and whether each is a folder."""
    with os.scandir(folder) as entries:
        shown = sorted((entry for entry in entries if not _is_hidden(entry.name)), key=lambda entry: entry.name)
        for entry in shown:
            if entry.is_symlink() and not os.path.exists(entry.path):
                raise ValueError(f"{os.fspath(entry.path)!r} is a link to nothing")
        return [(entry.name, entry.is_dir()) for entry in shown]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _NOT_MINE
