from __future__ import annotations

import gzip
import hashlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from satfl_env.data import ImageData, load_images
from satfl_env.data.digits import read_idx
from satfl_env.data.images import images_from_integers, split_train_test


def real_data(folder: str) -> Path:
    root = os.environ.get("SATFL_DATA")
    if not root:
        pytest.skip("SATFL_DATA is unset: no folder with real image sets")
    if not (Path(root) / folder).is_dir():
        pytest.skip(f"SATFL_DATA holds no {folder}")
    return Path(root)


def write_idx(path: Path, values: np.ndarray) -> None:
    path.write_bytes(struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes())


def write_class_folders(root: Path, colours: dict[str, tuple[int, int, int]], count: int) -> None:
    for name, colour in colours.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (40, 24 + number), colour).save(root / name / f"{name}_{number}.png")


def assert_well_formed(data: ImageData) -> None:
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert images.dtype == np.float32
        assert labels.dtype == np.int64
        assert images.ndim == 4
        assert len(images) == len(labels) > 0
        assert 0 <= images.min() <= images.max() <= 1
        assert set(labels.tolist()) <= set(range(len(data.class_names)))
        assert not images.flags.writeable
        assert not labels.flags.writeable


def test_images_from_integers_moves_channels_and_scales() -> None:
    pixels = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    images = images_from_integers(pixels)
    assert images.shape == (2, 3, 3, 4)
    assert images[1, 2, 0, 3] == pytest.approx(pixels[1, 0, 3, 2] / 255)


def test_split_is_stratified_fixed_and_complete() -> None:
    labels = np.repeat([0, 1, 2], [50, 10, 5])
    images = np.arange(65, dtype=np.float32).reshape(65, 1, 1, 1)
    first, again, other = (split_train_test(images, labels, ("a", "b", "c"), seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(np.bincount(first.test_labels), [10, 2, 1])
    np.testing.assert_array_equal(np.bincount(first.train_labels), [40, 8, 4])
    everything = np.concatenate([first.train_images, first.test_images])
    np.testing.assert_array_equal(np.sort(everything, axis=None), np.arange(65))
    np.testing.assert_array_equal(first.test_images, again.test_images)
    assert (first.test_images != other.test_images).any()
    with pytest.raises(ValueError, match="test_share: 1 "):
        split_train_test(images, labels, ("a", "b", "c"), test_share=1)


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    data = load_images("digits")
    assert_well_formed(data)
    assert data.train_images.shape == (1438, 1, 8, 8)
    assert data.test_images.shape == (359, 1, 8, 8)
    assert data.class_names == tuple("0123456789")
    mine = np.concatenate([data.train_images, data.test_images]).reshape(-1, 64) * 16
    labelled = np.column_stack([mine, np.concatenate([data.train_labels, data.test_labels])])
    bunch = load_digits()
    theirs = np.column_stack([bunch.data, bunch.target])
    np.testing.assert_array_equal(labelled[np.lexsort(labelled.T)], theirs[np.lexsort(theirs.T)])


def test_loading_again_returns_the_same_read_only_object() -> None:
    data = load_images("digits")
    assert load_images("digits", data_dir="anywhere") is data
    with pytest.raises(ValueError, match="read-only"):
        data.train_images[0] = 0


def test_idx_files_plain_and_gzipped(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    write_idx(tmp_path / "plain", values)
    (tmp_path / "packed.gz").write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    np.testing.assert_array_equal(read_idx(tmp_path / "plain"), values)
    np.testing.assert_array_equal(read_idx(tmp_path / "packed"), values)


def test_broken_idx_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"hello, world")
    with pytest.raises(ValueError, match=r"text: not an IDX file"):
        read_idx(tmp_path / "text")
    write_idx(tmp_path / "short", np.zeros((3, 2), dtype=np.uint8))
    (tmp_path / "short").write_bytes((tmp_path / "short").read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"short: holds 5 values, its header says \[3, 2\]"):
        read_idx(tmp_path / "short")
    with pytest.raises(FileNotFoundError, match=r"neither absent nor absent\.gz"):
        read_idx(tmp_path / "absent")


def test_mnist_layout_from_unpacked_files(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    pixels = {
        part: rng.integers(0, 256, (count, 28, 28), dtype=np.uint8) for part, count in (("train", 7), ("t10k", 3))
    }
    for part, values in pixels.items():
        write_idx(raw / f"{part}-images-idx3-ubyte", values)
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(len(values), dtype=np.uint8))
    data = load_images("mnist", data_dir=tmp_path)
    assert_well_formed(data)
    np.testing.assert_allclose(data.train_images[:, 0] * 255, pixels["train"], rtol=1e-6)
    np.testing.assert_array_equal(data.test_labels, [0, 1, 2])


def test_real_mnist() -> None:
    root = real_data("MNIST/raw")
    # the first ten digits of either part, as everyone knows them
    data = load_images("mnist", data_dir=root)
    assert_well_formed(data)
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert data.test_images.shape == (10_000, 1, 28, 28)
    assert data.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.train_images.mean() == pytest.approx(0.1307, abs=1e-4)
    assert data.train_images.std(dtype=np.float64) == pytest.approx(0.3081, abs=1e-4)


def test_real_mnist_archives_are_the_originals() -> None:
    from torchvision.datasets import MNIST

    root = real_data("MNIST/raw")
    for name, md5 in MNIST.resources:
        assert hashlib.md5((root / "MNIST" / "raw" / name).read_bytes()).hexdigest() == md5


def test_real_imagenette() -> None:
    data = load_images("imagenette", data_dir=real_data("imagenette2"), image_size=32)
    assert_well_formed(data)
    assert data.train_images.shape == (len(data.train_labels), 3, 32, 32)
    assert len(data.class_names) == 10
    assert data.class_names[0] == "tench"
    assert (np.bincount(data.test_labels, minlength=10) > 0).all()


COLOURS = {"forest": (10, 200, 30), "river": (20, 40, 250), "road": (120, 120, 120)}


@pytest.mark.parametrize(("source", "folder"), [("eurosat", "eurosat/2750"), ("image-folder", "")])
def test_photographs_keep_colour_class_and_asked_size(source: str, folder: str, tmp_path: Path) -> None:
    write_class_folders(tmp_path / folder, COLOURS, count=5)
    data = load_images(source, data_dir=tmp_path, image_size=16)
    assert_well_formed(data)
    assert data.class_names == tuple(COLOURS)
    assert data.train_images.shape == (12, 3, 16, 16)
    assert np.bincount(data.test_labels).tolist() == [1, 1, 1]
    expected = np.array(list(COLOURS.values()))[data.train_labels]
    np.testing.assert_allclose(data.train_images.mean(axis=(2, 3)) * 255, expected, atol=1)


def test_image_folder_takes_subfolder_and_test_share(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "mine", COLOURS, count=4)
    data = load_images("image-folder", data_dir=tmp_path, image_size=8, folder="mine", test_share=0.5)
    assert len(data.train_images) == len(data.test_images) == 6


def test_data_dir_falls_back_to_the_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_class_folders(tmp_path, COLOURS, count=4)
    monkeypatch.setenv("SATFL_DATA", str(tmp_path))
    assert len(load_images("image-folder", image_size=8).class_names) == 3


def test_unknown_names_and_options_suggest_near_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown name 'minst', did you mean 'mnist'\?.*allowed: blue-marble, digits"):
        load_images("minst")
    with pytest.raises(ValueError, match=r"unknown option 'tile_pixels', did you mean 'tile_px'\?"):
        load_images("blue-marble", tile_pixels=16)
    with pytest.raises(ValueError, match=r"'digits': unknown option 'zzz'; allowed: none"):
        load_images("digits", zzz=1)


def test_image_size_must_suit_the_source(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"image_size: 16 given, but .* 'digits' are not resized"):
        load_images("digits", image_size=16)
    with pytest.raises(ValueError, match="image_size: missing, source 'eurosat' needs"):
        load_images("eurosat", data_dir=tmp_path)
    with pytest.raises(ValueError, match="image_size must be at least 1, got 0"):
        load_images("eurosat", data_dir=tmp_path, image_size=0)


@pytest.mark.parametrize(
    ("source", "options", "error", "words"),
    [
        ("image-folder", {"image_size": "8"}, TypeError, "image_size must be an integer, got '8'"),
        ("image-folder", {"image_size": 8, "test_share": "0.2"}, ValueError, "test_share: '0.2' is not between 0"),
        ("image-folder", {"image_size": 8, "test_share": True}, ValueError, "test_share: True is not between 0 and 1"),
        ("blue-marble", {"tile_px": "32"}, TypeError, "tile_px must be an integer, got '32'"),
        ("blue-marble", {"min_std": "0.02"}, ValueError, "min_std: '0.02' leaves no tile"),
    ],
)
def test_options_of_another_type_are_named(
    tmp_path: Path, source: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    write_class_folders(tmp_path, COLOURS, count=4)
    with pytest.raises(error, match=words):
        load_images(source, data_dir=tmp_path, **options)


@pytest.mark.parametrize(
    ("source", "folder"), [("mnist", "MNIST/raw"), ("imagenette", "imagenette2"), ("eurosat", "eurosat/2750")]
)
def test_missing_folder_is_named_and_nothing_is_downloaded(source: str, folder: str, tmp_path: Path) -> None:
    size = None if source == "mnist" else 8
    with pytest.raises(FileNotFoundError) as caught:
        load_images(source, data_dir=tmp_path, image_size=size)
    for hint in (source, str(tmp_path / folder), "data_dir", "SATFL_DATA", "download=True"):
        assert hint in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_no_data_folder_at_all_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SATFL_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"mnist: .*data_dir.*SATFL_DATA"):
        load_images("mnist")


def test_download_is_passed_on_when_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torchvision.datasets

    asked: list[tuple[Path, bool]] = []
    monkeypatch.setattr(torchvision.datasets, "MNIST", lambda root, download: asked.append((root, download)))
    with pytest.raises(FileNotFoundError):
        load_images("mnist", data_dir=tmp_path, download=True)
    assert asked == [(tmp_path, True)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\0\0\x08\xff" + b"\1" * 40, "the header is 44 bytes long, not 1024"),
        (b"\0\0\x08\2" + b"\xff" * 8, "holds 0 values, its header says"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_of_any_bytes_are_named(tmp_path: Path, content: bytes, words: str, packed: bool) -> None:
    (tmp_path / ("odd.gz" if packed else "odd")).write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=rf"odd(\.gz)?: {words}"):
        read_idx(tmp_path / "odd")


def test_broken_archives_and_pipes_are_named_and_bombs_are_not_unpacked(tmp_path: Path) -> None:
    whole = gzip.compress(b"\0\0\x08\1" + struct.pack(">I", 2**32 - 1) + bytes(10**6))
    for content, words in ((whole, "holds 1000000 values"), (whole[:-400], "ended before"), (b"no archive", "gzip")):
        (tmp_path / "odd.gz").write_bytes(content)
        with pytest.raises(ValueError, match=rf"odd\.gz: .*{words}"):
            read_idx(tmp_path / "odd")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: not a regular file"):
        read_idx(tmp_path / "pipe")


def test_mnist_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        write_idx(raw / f"{part}-images-idx3-ubyte", np.zeros((3, 28, 28), dtype=np.uint8))
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.array([0, 1, 10], dtype=np.uint8))
    with pytest.raises(
        ValueError, match=r"train has images of shape \(3, 28, 28\) and labels of shape \(3,\) up to 10"
    ):
        load_images("mnist", data_dir=tmp_path)
