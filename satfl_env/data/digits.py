"""Handwritten digits: the small set embedded in scikit-learn, and MNIST."""

from __future__ import annotations

import gzip
import zlib
from importlib.metadata import distribution
from io import BufferedIOBase
from math import prod
from pathlib import Path

import numpy as np

from satfl_env.data.folders import FOLDERS, require_folder
from satfl_env.data.images import ByteArray, FloatArray, ImageData, IntArray, images_from_integers, split_train_test
from satfl_env.imports import import_tidily
from satfl_env.paths import require_file

_DIGITS_FILE = "sklearn/datasets/data/digits.csv.gz"  # 64 pixels of 0 to 16 and a label in each row
_MOST_VALUES = 2**28  # MNIST has a sixth of this
DIGIT_NAMES = tuple("0123456789")


def load_digits() -> ImageData:
    """Load the 1,797 handwritten digits of 8x8 pixels that come with scikit-learn; fixed stratified 80/20 split."""
    # Read as a file: importing scikit-learn takes seconds and changes the variables of OpenMP.
    rows = np.loadtxt(str(distribution("scikit-learn").locate_file(_DIGITS_FILE)), delimiter=",")
    images = (rows[:, :64].reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    return split_train_test(images, rows[:, 64].astype(np.int64), DIGIT_NAMES)


def load_mnist(*, data_dir: Path, download: bool = False) -> ImageData:
    """Load MNIST (60,000 + 10,000 digits of 28x28) from `data_dir`/MNIST/raw, unpacked or still gzipped.

    Raises:
        FileNotFoundError: the folder or one of its four files is missing and `download` is False.
        ValueError: a file is broken, or images and labels do not fit each other.
    """
    if download:
        import_tidily("torchvision.datasets").MNIST(data_dir, download=True)
    folder = require_folder(data_dir / FOLDERS["mnist"], "mnist", downloadable=True)
    return ImageData(*_read_mnist_part(folder, "train"), *_read_mnist_part(folder, "t10k"), DIGIT_NAMES)


def _read_mnist_part(folder: Path, part: str) -> tuple[FloatArray, IntArray]:
    pixels = read_idx(folder / f"{part}-images-idx3-ubyte")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte")
    if pixels.ndim != 3 or labels.shape != pixels.shape[:1] or labels.max(initial=0) >= len(DIGIT_NAMES):
        raise ValueError(
            f"{folder}: {part} has images of shape {pixels.shape} and labels of shape {labels.shape} up to "
            f"{labels.max(initial=0)}, allowed are (N, H, W) and (N,) up to 9"
        )
    return images_from_integers(pixels[..., None]), labels.astype(np.int64)


def read_idx(path: Path) -> ByteArray:
    """Read an IDX file of unsigned bytes (the format of MNIST), or `path`.gz where only that exists.

    The header is two zero bytes, the type (8: unsigned byte), the number of axes, and each axis as a big-endian uint32.

    Raises:
        FileNotFoundError: neither file exists.
        ValueError: the file is unreadable, not an IDX file of unsigned bytes, or its size disagrees with its header.
    """
    packed = path.with_name(path.name + ".gz")
    if not path.exists() and not packed.exists():
        raise FileNotFoundError(f"mnist: neither {path.name} nor {packed.name} in folder {path.parent}")
    found = path if path.exists() else packed
    try:
        require_file(found)
        with found.open("rb") if found is path else gzip.open(found) as file:
            return _read_values(file)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{found}: {error}") from error


def _read_values(file: BufferedIOBase) -> ByteArray:
    start = file.read(4)
    if len(start) < 4 or start[:3] != b"\0\0\x08":
        raise ValueError(f"not an IDX file of unsigned bytes (header {start.hex()}, not 000008..)")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise ValueError(f"the header is {4 + len(sizes)} bytes long, not {4 + 4 * start[3]}")
    shape = [int(size) for size in np.frombuffer(sizes, dtype=">u4")]
    # What a small archive unpacks to may be too large for any memory.
    content = file.read(min(prod(shape), _MOST_VALUES) + 1)
    if len(content) != prod(shape):
        raise ValueError(f"holds {len(content)} values, its header says {shape}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
