"""Your own images, from arrays, tensors or a dataset, as the image set that every source returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from satfl_env.data.images import FloatArray, ImageData, IntArray, images_from_integers

# A last axis this short, next to a longer one, holds the colours.
_MOST_COLOURS = 4


def own_images(
    train: Any, test: Any, *, class_names: Sequence[str] | None = None, places_deg: npt.ArrayLike | None = None
) -> ImageData:
    """Your own labelled images as an image set.

    A set is a tuple (images, labels), an object with attributes `images` and `labels`, or a dataset like torchvision's:
    with a length, and a pair of image and label at each index. Images are arrays or tensors, (N, C, H, W) or (N, H, W),
    one of a dataset (C, H, W), (H, W) or a PIL picture; all have the same size. Integers of 8 and 16 bits without a
    sign (uint8, uint16) are scaled to [0, 1], other numbers are taken as they are: models that reconstruct images need
    them in [0, 1].

    Args:
        train: Training set.
        test: Test set.
        class_names: Name of each label; None names them by their numbers, 0 to the highest that occurs.
        places_deg: Latitude and longitude of each training image's centre, (N, 2), for a partition by ground tracks.

    Raises:
        TypeError: If a set has none of these forms.
        ValueError: If a set is empty, shapes differ, a number is NaN or infinite, or a label is out of range.
    """
    train_images, train_labels = _labelled(train, "train")
    test_images, test_labels = _labelled(test, "test")
    if test_images.shape[1:] != train_images.shape[1:]:
        raise ValueError(
            f"test images: each has shape {test_images.shape[1:]}, those of train {train_images.shape[1:]}"
        )
    names = class_names
    if names is None:
        names = [str(label) for label in range(1 + int(max(train_labels.max(), test_labels.max())))]
    for name, labels in (("train", train_labels), ("test", test_labels)):
        if labels.min() < 0 or labels.max() >= len(names):
            wrong = labels[(labels < 0) | (labels >= len(names))][0]
            raise ValueError(f"{name} labels: {wrong} is not between 0 and {len(names) - 1}, the last class")
    places = None if places_deg is None else np.array(places_deg, dtype=np.float64)
    if places is not None and (places.shape != (len(train_images), 2) or not np.isfinite(places).all()):
        raise ValueError(f"places_deg: shape {places.shape}, expected finite numbers of shape {(len(train_images), 2)}")
    return ImageData(train_images, train_labels, test_images, test_labels, tuple(names), places)


def _labelled(source: Any, name: str) -> tuple[FloatArray, IntArray]:
    """Checked images, float32 (N, C, H, W), and labels, int64 (N,), of one set."""
    if isinstance(source, tuple) and len(source) == 2:
        images, labels = source
    elif hasattr(source, "images") and hasattr(source, "labels"):
        images, labels = source.images, source.labels
    elif hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        images, labels = _read_dataset(source, name)
    else:
        raise TypeError(
            f"{name}: {type(source).__name__} is neither (images, labels), nor an object with attributes images and "
            "labels, nor a dataset with a length and pairs of image and label"
        )
    pixels = _as_images(np.asarray(images), name)
    return pixels, _as_labels(np.asarray(labels), len(pixels), name)


def _read_dataset(dataset: Any, name: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    pairs = [dataset[index] for index in range(len(dataset))]
    if not pairs:
        raise ValueError(f"{name}: the dataset is empty")
    if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        raise TypeError(f"{name}: the dataset must give pairs of image and label, got {type(pairs[0]).__name__}")
    images = [_channels_first(image) for image, _ in pairs]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ValueError(f"{name} images: must have one shape, got {sorted(shapes)}; resize them in the dataset")
    return np.stack(images), np.array([np.asarray(label) for _, label in pairs])


def _channels_first(image: Any) -> npt.NDArray[Any]:
    # A palette's numbers are no brightness.
    pixels = np.asarray(image.convert("RGB") if getattr(image, "mode", "") in ("P", "PA") else image)
    # PIL's pictures have their colours last; arrays and tensors are checked by their shape.
    return pixels.transpose(2, 0, 1) if hasattr(image, "getbands") and pixels.ndim == 3 else pixels


def _as_images(pixels: npt.NDArray[Any], name: str) -> FloatArray:
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    if pixels.ndim != 4 or 0 in pixels.shape:
        raise ValueError(f"{name} images: shape {pixels.shape}, allowed are (N, C, H, W) and (N, H, W) without a zero")
    if pixels.shape[3] <= _MOST_COLOURS < pixels.shape[1] and pixels.shape[2] != pixels.shape[3]:
        raise ValueError(f"{name} images: shape {pixels.shape} has the colours last, allowed is (N, C, H, W)")
    if pixels.dtype in (np.uint8, np.uint16):
        return images_from_integers(pixels.transpose(0, 2, 3, 1))
    if pixels.dtype.kind not in "fiub":
        raise ValueError(f"{name} images: dtype {pixels.dtype}, allowed are real numbers")
    # A view, since what an image set holds is made read-only.
    images: FloatArray = pixels.astype(np.float32, copy=False)[:]
    if not np.isfinite(images).all():
        wrong = int(np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))[0])
        raise ValueError(f"{name} images: number {wrong} holds NaN or infinity")
    return images


def _as_labels(labels: npt.NDArray[Any], count: int, name: str) -> IntArray:
    if labels.shape != (count,):
        raise ValueError(f"{name} labels: shape {labels.shape}, expected {(count,)}, one for each image")
    if labels.dtype.kind not in "iub":
        raise ValueError(f"{name} labels: dtype {labels.dtype}, allowed are integers")
    return labels.astype(np.int64)
