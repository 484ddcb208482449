"""Where image sets that are not embedded in a package are on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from satfl_env.data.image_files import walk_files
from satfl_env.paths import expanded

DATA_DIR_VARIABLE = "SATFL_DATA"

FolderState = tuple[tuple[str, int, int], ...]

# Folder of each image set inside the data folder.
FOLDERS: Mapping[str, str] = {"mnist": "MNIST/raw", "imagenette": "imagenette2", "eurosat": "eurosat/2750"}


def resolve_data_dir(data_dir: str | os.PathLike[str] | None, source: str) -> Path:
    """Return the absolute path of the data folder: `data_dir`, or the environment variable SATFL_DATA where it is None.

    Raises:
        FileNotFoundError: neither is given.
        ValueError: no folder can have this name.
    """
    chosen = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    if not chosen:
        raise FileNotFoundError(
            f"{source}: no data folder known; set data_dir (scenario: data.data_dir; command: --data or --set "
            f"data.data_dir=FOLDER) or the environment variable {DATA_DIR_VARIABLE} to the folder with the image sets"
        )
    # The working directory may be another one at the next call.
    return expanded(chosen).absolute()


def state_of(folder: Path) -> FolderState:
    """Path, size and time of change of every file in a folder; none where it does not exist.

    Raises:
        ValueError: a link leads nowhere or back to a folder that holds it.
        OSError: a folder or file cannot be read.
    """
    if not folder.is_dir():
        return ()
    stats = ((str(path), path.stat()) for path in walk_files(folder))
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


def require_folder(folder: Path, source: str, *, downloadable: bool) -> Path:
    """Return `folder` where it exists.

    Args:
        folder: what must be there.
        source: name of the image source, for the message.
        downloadable: whether `load_images` can fetch it, which the message then says.

    Raises:
        FileNotFoundError: there is no such folder; the message names it and says what to do.
    """
    if not folder.is_dir():
        fetch = f"; satfl_env.data.load_images({source!r}, ..., download=True) downloads it" if downloadable else ""
        raise FileNotFoundError(
            f"{source}: no folder {folder}; put the image set there, or point data_dir (of a scenario: data.data_dir) "
            f"or the environment variable {DATA_DIR_VARIABLE} to the data folder that holds it{fetch}"
        )
    return folder
