"""Sets of photographs of any size, resized and cropped to squares: Imagenette, EuroSAT, folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from satfl_env.data.folders import FOLDERS, require_folder
from satfl_env.data.image_files import ClassFiles, find_class_files
from satfl_env.data.images import FloatArray, ImageData, IntArray, split_train_test
from satfl_env.data.pictures import read_pictures
from satfl_env.imports import import_tidily
from satfl_env.settings import default_of

# The ten of ImageNet, by their WordNet numbers.
IMAGENETTE_CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def load_imagenette(*, data_dir: Path, image_size: int, download: bool = False) -> ImageData:
    """Load Imagenette (10 ImageNet classes) from `data_dir`/imagenette2 with its own train and val parts.

    Raises:
        FileNotFoundError: the folder is missing and `download` is False, or a class has no images.
        ValueError: a file is no image, or the classes are not those of Imagenette.
    """
    if download:
        import_tidily("torchvision.datasets").Imagenette(data_dir, size="full", download=True)
    folder = require_folder(data_dir / FOLDERS["imagenette"], "imagenette", downloadable=True)
    train, test = find_class_files(folder / "train"), find_class_files(folder / "val")
    for part in (train, test):
        if part.names != train.names or not set(part.names) <= set(IMAGENETTE_CLASSES):
            raise ValueError(f"classes in {str(folder)!r}: {list(part.names)}, allowed are {list(IMAGENETTE_CLASSES)}")
    names = tuple(IMAGENETTE_CLASSES[name] for name in train.names)
    return ImageData(*_read_all(train, image_size), *_read_all(test, image_size), names)


def load_eurosat(*, data_dir: Path, image_size: int, download: bool = False) -> ImageData:
    """Load EuroSAT (27,000 Sentinel-2 images, 10 land covers) from `data_dir`/eurosat/2750; stratified 80/20 split.

    Raises:
        FileNotFoundError: the folder is missing and `download` is False, or a class has no images.
        ValueError: a file is no image.
    """
    if download:
        import_tidily("torchvision.datasets").EuroSAT(data_dir, download=True)
    files = find_class_files(require_folder(data_dir / FOLDERS["eurosat"], "eurosat", downloadable=True))
    return split_train_test(*_read_all(files, image_size), files.names)


def load_image_folder(
    *,
    data_dir: Path,
    image_size: int,
    folder: str = "",
    test_share: float = default_of(split_train_test, "test_share"),
    max_value: float | None = None,
) -> ImageData:
    """Load `data_dir`/`folder` with one subfolder of images for each class; fixed stratified split.

    Args:
        data_dir: the data folder.
        image_size: side in pixels.
        folder: folder inside it.
        test_share: share of each class kept for testing.
        max_value: value that becomes 1 in pictures whose pixels are single numbers of more than 8 bits; see
            `satfl_env.data.pictures.read_pictures`.

    Raises:
        FileNotFoundError: the folder is missing, or it holds no class folders, or one without images.
        ValueError: `test_share` outside (0, 1), or a file is no image or has other values; the message names it.
    """
    files = find_class_files(require_folder(data_dir / folder, "image-folder", downloadable=False))
    images, labels = _read_all(files, image_size, max_value)
    return split_train_test(images, labels, files.names, test_share=test_share)


def _read_all(files: ClassFiles, image_size: int, max_value: float | None = None) -> tuple[FloatArray, IntArray]:
    return read_pictures(files.paths, image_size, max_value), np.array(files.labels, dtype=np.int64)
