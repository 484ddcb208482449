"""The image set every source returns, and its split into training and test parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from satfl_env.arguments import as_number

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageData:
    """Labelled images in a training and a test part; the arrays are made read-only.

    Attributes:
        train_images: float32 (N, C, H, W) in [0, 1].
        train_labels: int64 (N,), indices into `class_names`.
        test_images: float32 (M, C, H, W) in [0, 1].
        test_labels: int64 (M,), indices into `class_names`.
        class_names: one name for each label.
        train_places_deg: latitude and longitude of each training image's centre, float64 (N, 2); None where images
            have no place on the Earth.
    """

    train_images: FloatArray
    train_labels: IntArray
    test_images: FloatArray
    test_labels: IntArray
    class_names: tuple[str, ...]
    train_places_deg: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        # All users in the process share one copy, so it must not be written to.
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels, self.train_places_deg):
            if array is not None:
                array.setflags(write=False)


def images_from_integers(pixels: npt.NDArray[np.uint8 | np.uint16]) -> FloatArray:
    """Turn channels-last integers (N, H, W, C) of 8 or 16 bits into float32 images (N, C, H, W) in [0, 1]."""
    images = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
    images /= np.iinfo(pixels.dtype).max
    return images


def split_train_test(
    images: FloatArray, labels: IntArray, class_names: tuple[str, ...], *, test_share: float = 0.2, seed: int = 0
) -> ImageData:
    """Split a pool of images into training and test parts, stratified: every class gives the same share.

    Args:
        images: float32 (N, C, H, W) in [0, 1].
        labels: int64 (N,).
        class_names: one name for each label.
        test_share: share of each class that goes to the test part, rounded to whole images, in (0, 1).
        seed: the split is a fixed function of the labels and this seed.

    Raises:
        ValueError: `test_share` outside (0, 1).
    """
    if not 0 < as_number(test_share) < 1:
        raise ValueError(f"test_share: {test_share!r} is not between 0 and 1 (both excluded)")
    rng = np.random.default_rng(seed)
    in_test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        in_test[members[: round(test_share * len(members))]] = True
    return ImageData(images[~in_test], labels[~in_test], images[in_test], labels[in_test], class_names)
