"""Handwritten digits: the small set embedded in scikit-learn, and MNIST."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from satfl_env.data.folders import FOLDERS, require_folder
from satfl_env.data.images import ByteArray, FloatArray, ImageData, IntArray, images_from_bytes, split_train_test

DIGIT_NAMES = tuple("0123456789")


def load_digits() -> ImageData:
    """Load the 1,797 handwritten digits of 8x8 pixels that come with scikit-learn; fixed stratified 80/20 split."""
    from sklearn import datasets  # slow to import, needed by this source only

    bunch = datasets.load_digits()
    images = (bunch.images[:, None] / 16).astype(np.float32)
    return split_train_test(images, bunch.target.astype(np.int64), DIGIT_NAMES)


def load_mnist(*, data_dir: Path, download: bool = False) -> ImageData:
    """Load MNIST (60,000 + 10,000 digits of 28x28) from `data_dir`/MNIST/raw, unpacked or still gzipped.

    Raises:
        FileNotFoundError: the folder or one of its four files is missing and `download` is False.
    """
    if download:
        from torchvision.datasets import MNIST

        MNIST(data_dir, download=True)
    folder = require_folder(data_dir / FOLDERS["mnist"], "mnist", downloadable=True)
    return ImageData(*_read_mnist_part(folder, "train"), *_read_mnist_part(folder, "t10k"), DIGIT_NAMES)


def _read_mnist_part(folder: Path, part: str) -> tuple[FloatArray, IntArray]:
    pixels = read_idx(folder / f"{part}-images-idx3-ubyte")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte")
    return images_from_bytes(pixels[..., None]), labels.astype(np.int64)


def read_idx(path: Path) -> ByteArray:
    """Read an IDX file of unsigned bytes (the format of MNIST), or `path`.gz where only that exists.

    The header is two zero bytes, the type (8: unsigned byte), the number of axes, and each axis as a big-endian uint32.

    Raises:
        FileNotFoundError: neither file exists.
        ValueError: the file is not an IDX file of unsigned bytes, or its size disagrees with its header.
    """
    packed = path.with_name(path.name + ".gz")
    if not path.exists() and not packed.exists():
        raise FileNotFoundError(f"mnist: neither {path.name} nor {packed.name} in folder {path.parent}")
    content = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes (header {content[:4].hex()}, not 000008..)")
    num_axes = content[3]
    shape = np.frombuffer(content, dtype=">u4", count=num_axes, offset=4).astype(np.int64)
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * num_axes)
    if values.size != shape.prod():
        raise ValueError(f"{path}: holds {values.size} values, its header says {shape.tolist()}")
    return values.reshape(shape)
