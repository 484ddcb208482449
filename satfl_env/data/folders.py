"""Where image sets that are not embedded in a package lie on disk."""

from __future__ import annotations

import os
from pathlib import Path

DATA_DIR_VARIABLE = "SATFL_DATA"


def resolve_data_dir(data_dir: str | Path | None, source: str) -> Path:
    """Return the data folder: `data_dir`, or the environment variable SATFL_DATA where it is None.

    Raises:
        FileNotFoundError: neither is given.
    """
    chosen = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    if not chosen:
        raise FileNotFoundError(
            f"{source}: no data folder known; pass data_dir or set the environment variable {DATA_DIR_VARIABLE} "
            "to the folder that holds the image sets"
        )
    return Path(chosen).expanduser()


def require_folder(folder: Path, source: str, *, downloadable: bool) -> Path:
    """Return `folder` where it exists.

    Args:
        folder: what must be there.
        source: name of the image source, for the message.
        downloadable: whether the source has the option download=True, which the message then names.

    Raises:
        FileNotFoundError: there is no such folder; the message names it and says what to do.
    """
    if not folder.is_dir():
        download = ", or pass download=True to fetch it" if downloadable else ""
        raise FileNotFoundError(
            f"{source}: no folder {folder}; put the image set there, or point data_dir or the environment "
            f"variable {DATA_DIR_VARIABLE} to the data folder that holds it{download}"
        )
    return folder
