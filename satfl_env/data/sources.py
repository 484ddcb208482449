"""The registry of image sources and the one function that loads any of them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from satfl_env.arguments import checked_integer
from satfl_env.data.blue_marble import CLASS_NAMES, load_blue_marble
from satfl_env.data.digits import load_digits, load_mnist
from satfl_env.data.folders import FOLDERS, FolderState, resolve_data_dir, state_of
from satfl_env.data.images import ImageData
from satfl_env.data.photographs import load_eurosat, load_image_folder, load_imagenette
from satfl_env.suggestions import did_you_mean

SOURCES: dict[str, Callable[..., ImageData]] = {
    "digits": load_digits,
    "blue-marble": load_blue_marble,
    "mnist": load_mnist,
    "imagenette": load_imagenette,
    "eurosat": load_eurosat,
    "image-folder": load_image_folder,
}

# Classes of the sources that have the same ones in every installation.
NUM_CLASSES = {"digits": 10, "mnist": 10, "blue-marble": len(CLASS_NAMES)}


def load_images(
    name: str, *, data_dir: str | os.PathLike[str] | None = None, image_size: int | None = None, **options: Any
) -> ImageData:
    """Load an image source by name; the last four are kept in the process, so asking again costs nothing.

    What is kept goes by the absolute path of the folder and by the names, sizes and times of the files in it.

    Args:
        name: a key of `SOURCES`. `digits` and `blue-marble` are embedded in packages, the others lie on disk.
        data_dir: folder that holds the image sets; None means the environment variable SATFL_DATA. Ignored
            for embedded sources.
        image_size: side in pixels, needed by `imagenette`, `eurosat` and `image-folder`; the others have a fixed size.
        **options: keyword arguments of the source's own loader, for example `tile_px`, `download`, `folder`.

    Raises:
        TypeError: `image_size`, or another option that is one, is no integer.
        ValueError: unknown name or option (near matches are given), or a value that is not allowed.
        FileNotFoundError: the data folder is missing; the message says what to do. Nothing is ever downloaded unless
            `download=True` is passed.
    """
    check_source(name, image_size)
    parameters = inspect.signature(SOURCES[name]).parameters
    allowed = [option for option in parameters if option not in ("data_dir", "image_size")]
    for option in options:
        if option not in allowed:
            raise ValueError(f"image source {name!r}: unknown option {option!r}{_suggest(option, allowed)}")
    state: FolderState = ()
    if "data_dir" in parameters:
        options["data_dir"] = folder = resolve_data_dir(data_dir, name)
        state = state_of(folder / FOLDERS.get(name, options.get("folder", "")))
    if "image_size" in parameters:
        options["image_size"] = image_size
    return _load(SOURCES[name], tuple(sorted(options.items())), state)


@lru_cache(maxsize=4)
def _load(loader: Callable[..., ImageData], options: tuple[tuple[str, Any], ...], state: FolderState) -> ImageData:
    return loader(**dict(options))


def check_source(name: str, image_size: int | None) -> None:
    """Check an image source's name and image size without loading it.

    Args:
        name: a key of `SOURCES`.
        image_size: side in pixels, as for `load_images`.

    Raises:
        TypeError: `image_size` is no integer.
        ValueError: unknown name (near matches are given), or `image_size` missing, unwanted or not positive.
    """
    if name not in SOURCES:
        raise ValueError(f"source: unknown name {name!r}{_suggest(name, SOURCES)}")
    if "image_size" not in inspect.signature(SOURCES[name]).parameters:
        if image_size is not None:
            raise ValueError(
                f"image_size: {image_size} given, but images of source {name!r} are not resized; leave it out"
            )
    elif image_size is None:
        raise ValueError(f"image_size: missing, source {name!r} needs the side in pixels that images are scaled to")
    else:
        checked_integer("image_size", image_size, 1)


def _suggest(wrong: str, allowed: Iterable[str]) -> str:
    names = sorted(allowed)
    return f"{did_you_mean(wrong, names) or ';'} allowed: {', '.join(names) or 'none'}"
