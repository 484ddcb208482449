"""Sets of photographs of any size, resized and cropped to squares: Imagenette, EuroSAT, folders of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from satfl_env.data.folders import FOLDERS, require_folder
from satfl_env.data.images import FloatArray, ImageData, IntArray, images_from_bytes, split_train_test
from satfl_env.settings import default_of


def load_imagenette(*, data_dir: Path, image_size: int, download: bool = False) -> ImageData:
    """Load Imagenette (10 ImageNet classes) from `data_dir`/imagenette2 with its own train and val parts.

    Raises:
        FileNotFoundError: the folder is missing and `download` is False.
    """
    from torchvision.datasets import Imagenette

    if not download:
        require_folder(data_dir / FOLDERS["imagenette"], "imagenette", downloadable=True)
    transform = square_crop(image_size)
    train = Imagenette(data_dir, "train", size="full", download=download, transform=transform)
    test = Imagenette(data_dir, "val", size="full", transform=transform)
    return ImageData(*_read_all(train), *_read_all(test), tuple(names[0] for names in train.classes))


def load_eurosat(*, data_dir: Path, image_size: int, download: bool = False) -> ImageData:
    """Load EuroSAT (27,000 Sentinel-2 images, 10 land covers) from `data_dir`/eurosat/2750; stratified 80/20 split.

    Raises:
        FileNotFoundError: the folder is missing and `download` is False.
    """
    from torchvision.datasets import EuroSAT

    if not download:
        require_folder(data_dir / FOLDERS["eurosat"], "eurosat", downloadable=True)
    images = EuroSAT(data_dir, download=download, transform=square_crop(image_size))
    return split_train_test(*_read_all(images), tuple(images.classes))


def load_image_folder(
    *,
    data_dir: Path,
    image_size: int,
    folder: str = "",
    test_share: float = default_of(split_train_test, "test_share"),
) -> ImageData:
    """Load `data_dir`/`folder` with one subfolder of images for each class; fixed stratified split.

    Raises:
        FileNotFoundError: the folder is missing, or it holds no class folders with images.
        ValueError: `test_share` outside (0, 1).
    """
    from torchvision.datasets import ImageFolder

    root = require_folder(data_dir / folder, "image-folder", downloadable=False)
    images = ImageFolder(root, transform=square_crop(image_size))
    return split_train_test(*_read_all(images), tuple(images.classes), test_share=test_share)


def square_crop(image_size: int) -> Callable[[Any], Any]:
    """Build the transform that scales the shorter side to `image_size` pixels and cuts out the centre square."""
    from torchvision.transforms import CenterCrop, Compose, Resize

    transform: Callable[[Any], Any] = Compose([Resize(image_size), CenterCrop(image_size)])
    return transform


def _read_all(dataset: Any) -> tuple[FloatArray, IntArray]:
    pairs = [dataset[index] for index in range(len(dataset))]
    pixels = np.stack([np.asarray(picture) for picture, _ in pairs])
    return images_from_bytes(pixels), np.array([label for _, label in pairs], dtype=np.int64)
