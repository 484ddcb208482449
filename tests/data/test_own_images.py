"""Images of somebody's own in all their forms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset
from torchvision.transforms.functional import pil_to_tensor, to_tensor

from satfl_env.data import own_images

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
LABELS = [0, 2, 1, 1, 0]
PICTURES = [Image.fromarray(pixels) for pixels in BYTES]
# The reference: torchvision's own conversion.
EXPECTED = torch.stack([to_tensor(picture) for picture in PICTURES]).numpy()
CHANNELS_FIRST = BYTES.transpose(0, 3, 1, 2)


class Dataset:
    """Like torchvision's: a length, and pairs."""

    def __init__(self, images, labels=LABELS) -> None:
        self.pictures, self.classes = images, labels

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int):
        return self.pictures[index], self.classes[index]


@pytest.mark.parametrize(
    "source",
    [
        (CHANNELS_FIRST, LABELS),
        (torch.from_numpy(CHANNELS_FIRST.copy()), torch.tensor(LABELS)),
        (EXPECTED.astype(np.float64), np.array(LABELS, dtype=np.uint8)),
        SimpleNamespace(images=EXPECTED, labels=LABELS),
        Dataset(PICTURES),
        Dataset([pil_to_tensor(picture) for picture in PICTURES]),
        Dataset(list(EXPECTED), [np.int32(label) for label in LABELS]),
        TensorDataset(torch.from_numpy(EXPECTED), torch.tensor(LABELS)),
    ],
)
def test_all_forms_give_the_same_images(source):
    found = own_images(source, source)
    for images, labels in ((found.train_images, found.train_labels), (found.test_images, found.test_labels)):
        assert (images.dtype, labels.dtype) == (np.float32, np.int64)
        np.testing.assert_allclose(images, EXPECTED, rtol=1e-6)
        assert labels.tolist() == LABELS
    assert found.class_names == ("0", "1", "2")


def test_grey_images_get_a_channel_and_what_is_no_byte_keeps_its_scale():
    grey = Dataset([picture.convert("L") for picture in PICTURES])
    found = own_images(grey, (BYTES[..., 0].astype(np.int16), LABELS))
    assert found.train_images.shape == found.test_images.shape == (5, 1, 6, 7)
    np.testing.assert_array_equal(found.test_images[:, 0], BYTES[..., 0].astype(np.float32))


def test_what_was_given_stays_writable():
    mine = EXPECTED.copy()
    own_images((mine, LABELS), (mine, LABELS))
    mine[0] = 0.0


def test_places_and_names_are_kept():
    places = [[10.0, 20.0]] * 5
    found = own_images((EXPECTED, LABELS), (EXPECTED, LABELS), class_names=["a", "b", "c", "d"], places_deg=places)
    assert found.train_places_deg.tolist() == places
    assert found.class_names == ("a", "b", "c", "d")


def with_nan() -> np.ndarray:
    images = EXPECTED.copy()
    images[3, 0, 0, 0] = np.nan
    return images


GOOD = (EXPECTED, LABELS)


@pytest.mark.parametrize(
    ("train", "test", "options", "error", "words"),
    [
        (3, GOOD, {}, TypeError, r"train: int is neither \(images, labels\)"),
        ((EXPECTED, LABELS[:4]), GOOD, {}, ValueError, r"train labels: shape \(4,\), expected \(5,\)"),
        ((EXPECTED[0], LABELS[:1]), GOOD, {}, ValueError, r"train labels: shape \(1,\), expected \(3,\)"),
        ((EXPECTED[0, 0], LABELS), GOOD, {}, ValueError, r"train images: shape \(6, 7\), allowed are \(N, C, H, W\)"),
        (GOOD, (EXPECTED[:0], []), {}, ValueError, r"test images: shape \(0, 3, 6, 7\)"),
        (Dataset([]), GOOD, {}, ValueError, "train: the dataset is empty"),
        (list(EXPECTED), GOOD, {}, TypeError, "train: the dataset must give pairs of image and label, got ndarray"),
        ((BYTES, LABELS), GOOD, {}, ValueError, r"train images: shape \(5, 6, 7, 3\) has the colours last"),
        (GOOD, (with_nan(), LABELS), {}, ValueError, "test images: number 3 holds NaN or infinity"),
        ((EXPECTED.astype(str), LABELS), GOOD, {}, ValueError, r"train images: dtype .*, allowed are real numbers"),
        ((EXPECTED, [0.5] * 5), GOOD, {}, ValueError, "train labels: dtype float64, allowed are integers"),
        (Dataset(PICTURES, [0.5] * 5), GOOD, {}, ValueError, "train labels: dtype float64, allowed are integers"),
        ((EXPECTED, [0, 1, -1, 0, 0]), GOOD, {}, ValueError, "train labels: -1 is not between 0 and 2, the last class"),
        (GOOD, GOOD, {"class_names": ["a", "b"]}, ValueError, "train labels: 2 is not between 0 and 1"),
        (
            GOOD,
            (EXPECTED[..., :5], LABELS),
            {},
            ValueError,
            r"each has shape \(3, 6, 5\), those of train \(3, 6, 7\)",
        ),
        (GOOD, GOOD, {"places_deg": [[0.0, 1.0]]}, ValueError, r"places_deg: shape \(1, 2\).*\(5, 2\)"),
        (
            Dataset([*PICTURES[:4], PICTURES[4].resize((3, 3))]),
            GOOD,
            {},
            ValueError,
            r"train images: must have one shape, got \[\(3, 3, 3\), \(3, 6, 7\)\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(train, test, options, error, words):
    with pytest.raises(error, match=words):
        own_images(train, test, **options)
