"""Reading pictures of any size and kind as squares of three colours; what cannot be read is refused by its name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from satfl_env.arguments import as_number
from satfl_env.data.images import FloatArray
from satfl_env.imports import import_tidily
from satfl_env.memory import check_fits
from satfl_env.paths import require_file

if TYPE_CHECKING:
    from PIL.Image import Image

# No format that runs another program; a GIF's name often ends like that of other images.
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
MOST_PIXELS = 89_478_485  # Pillow's own bound, 256 MiB of colours
_MOST_ELONGATED = 100  # sides' ratio: the longer side is scaled, too, before the square is cut out
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_WIDE = ("I", "F")
_DIM = 0.25  # no set of pictures that uses its 16 bits is as dark


def read_pictures(paths: Sequence[Path], image_size: int, max_value: float | None = None) -> FloatArray:
    """Read pictures as float32 (N, 3, image_size, image_size) in [0, 1]; grey ones get three equal colours.

    The shorter side is scaled to `image_size` pixels, and the centre square is cut out. The orientation that cameras
    note in EXIF is applied, transparency is dropped.

    Args:
        paths: the files.
        image_size: side in pixels.
        max_value: value that becomes 1 where a pixel is one number of more than 8 bits; None: what the file states, or
            the greatest of 12 or 16 bits without a sign, while others are refused. Colours of 8 bits end at 255. A
            warning suggests it where pictures of 16 bits use no more than a quarter of their range.

    Raises:
        ValueError: a file is no whole picture of one frame, is too large, or has values that are not numbers from 0 to
            the greatest; the message names it. So many pictures of this size do not fit the memory.
    """
    if max_value is not None and not 0 < as_number(max_value) < np.inf:
        raise ValueError(f"max_value: {max_value!r} is not a finite number above 0")
    check_fits(len(paths) * 3.0 * 4 * image_size**2, f"image_size: {len(paths)} images of {image_size} pixels")
    crop = square_crop(image_size)
    images = np.empty((len(paths), 3, image_size, image_size), dtype=np.float32)
    with _whole_files_alone():
        for image, path in zip(images, paths, strict=True):
            image[:] = _read(path, crop, max_value)
    if max_value is None and len(paths) and images.max() < _DIM and _has_sixteen_bits(paths[0]):
        warnings.warn(
            f"no pixel of {str(paths[0])!r} and the others is above {images.max():.2g} of the greatest of 16 bits, "
            "which becomes 1: max_value (of a scenario: data.max_value) sets another, such as 10000 for reflectances",
            stacklevel=2,
        )
    return images


def square_crop(image_size: int) -> Callable[[Any], Any]:
    """Build the transform that scales the shorter side to `image_size` pixels and cuts out the centre square."""
    to = import_tidily("torchvision.transforms")
    transform: Callable[[Any], Any] = to.Compose([to.Resize(image_size), to.CenterCrop(image_size)])
    return transform


def _read(path: Path, crop: Callable[[Any], Any], max_value: float | None) -> FloatArray:
    """One picture, float32 (3, H, W) or (1, H, W) in [0, 1]."""
    from PIL import Image, ImageOps

    try:
        require_file(path)
        with path.open("rb") as file, Image.open(file, formats=_FORMATS) as picture:
            _check(picture, max_value)
            top = _stated_top(picture) if max_value is None else max_value
            upright = ImageOps.exif_transpose(picture)
            if picture.mode in (*_SIXTEEN_BITS, *_WIDE):
                return _from_numbers(upright, crop, top)
            return _from_colours(upright, crop)
    except Exception as error:  # Pillow meets broken files with errors of many kinds
        raise ValueError(f"image {str(path)!r}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # Pillow names the open file, which says nothing.
    return "not an image of a known kind" if type(error).__name__ == "UnidentifiedImageError" else str(error)


def _check(picture: Image, max_value: float | None) -> None:
    """Check what a picture's header says.

    Raises:
        ValueError: It is too large or too long, has several frames, or more bits than are read.
    """
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width} x {height} pixels, allowed are {MOST_PIXELS} in all")
    if max(width, height) > _MOST_ELONGATED * min(width, height):
        raise ValueError(f"{width} x {height} pixels, one side may be {_MOST_ELONGATED} times the other")
    frames = getattr(picture, "n_frames", 1)
    # The further frames of a camera's MPO are previews.
    if frames > 1 and picture.format != "MPO":
        raise ValueError(f"{frames} frames, allowed is one")
    if picture.format == "TIFF":
        _check_tiff(picture)
    if max_value is not None and _deep(picture) and picture.mode not in (*_SIXTEEN_BITS, *_WIDE):
        raise ValueError("max_value is for pictures of one number per pixel; of colours with 16 bits, 8 are read")
    if max_value is not None and picture.format == "PPM" and picture.mode == "I":
        raise ValueError("max_value must not be given: the picture states its own greatest value")


def _check_tiff(picture: Any) -> None:
    """Refuse what Pillow reads wrongly without a word.

    Raises:
        ValueError: More than 8 bits with zero as white or with colours stored apart, or 8 bits with a sign.
    """
    tags = picture.tag_v2
    bits, white_is_zero = tags.get(258, (1,)), tags.get(262) == 0
    apart, signed = len(bits) > 1 and tags.get(284) == 2, 2 in tags.get(339, ())
    if max(bits) > 8 and (white_is_zero or apart):
        kind = "colours stored apart" if apart else "zero as white"
        raise ValueError(f"a TIFF of {max(bits)} bits with {kind} cannot be read")
    if max(bits) <= 8 and signed:
        raise ValueError(f"a TIFF of {max(bits)} bits with a sign cannot be read")


def _deep(picture: Image) -> bool:
    """Whether numbers have more than 8 bits in the file."""
    if picture.format == "PPM":
        return any(isinstance(part, int) and part > 255 for tile in _tiles(picture) for part in tile.args)
    return any(";16" in str(tile) for tile in _tiles(picture))


def _tiles(picture: Image) -> Sequence[Any]:
    return getattr(picture, "tile", ())


def _has_sixteen_bits(path: Path) -> bool:
    from PIL import Image

    with Image.open(path, formats=_FORMATS) as picture:
        return picture.mode in _SIXTEEN_BITS


def _stated_top(picture: Image) -> int | None:
    """The value that stands for 1 by a picture's type; None where the type says nothing."""
    if picture.mode in _SIXTEEN_BITS:
        return 4095 if any("I;12" in str(tile) for tile in _tiles(picture)) else 65535
    # Pillow has scaled these already.
    return 65535 if picture.format == "PPM" and picture.mode == "I" else None


def _from_colours(picture: Image, crop: Callable[[Any], Any]) -> FloatArray:
    # Straight from a palette with transparency Pillow warns, to the same colours.
    opaque = picture.convert("RGBA") if "transparency" in picture.info else picture
    pixels = np.asarray(crop(opaque.convert("RGB"))).transpose(2, 0, 1).astype(np.float32)
    pixels /= 255
    return pixels


def _from_numbers(picture: Image, crop: Callable[[Any], Any], top: float | None) -> FloatArray:
    from PIL import Image

    if top is None:
        kind = "floating point" if picture.mode == "F" else "32 bits or with a sign"
        raise ValueError(f"pixels of {kind} need max_value (of a scenario: data.max_value), the value that becomes 1")
    values: npt.NDArray[np.float64] = np.asarray(picture).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a pixel is NaN or infinite")
    if values.min() < 0 or values.max() > top:
        raise ValueError(f"pixels from {values.min():g} to {values.max():g}, allowed are 0 to max_value {top:g}")
    # Means of neighbours stay inside up to rounding.
    scaled: FloatArray = np.asarray(crop(Image.fromarray((values / top).astype(np.float32))))
    return scaled.clip(0, 1)[None]


@contextmanager
def _whole_files_alone() -> Iterator[None]:
    """Let Pillow refuse truncated files inside the block, whatever the user's own setting is."""
    from PIL import ImageFile

    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
