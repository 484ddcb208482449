"""Image files of every kind: rightly scaled, or refused by their name; what is hidden is no image."""

from __future__ import annotations

import os
import socket
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from satfl_env import scenarios
from satfl_env.data import load_images, own_images
from satfl_env.data.image_files import find_class_files
from satfl_env.data.pictures import read_pictures
from satfl_env.scenarios import ScenarioError


def folders(root: Path, names: str = "ab", count: int = 5) -> Path:
    for shade, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (12, 10), (40 * shade,) * 3).save(root / name / f"{number}.png")
    return root


def load(root: Path, **options: Any) -> Any:
    return load_images("image-folder", data_dir=root, image_size=4, **options)


def with_images(root: Path, **fields: Any) -> scenarios.Scenario:
    data = {"source": "image-folder", "data_dir": root, "image_size": 4, "partition": {"kind": "equal"}}
    return scenarios.load("semspacefl-mini", **{"data": {**data, **fields}, "training.engine": "none"})


def one(path: Path, image_size: int = 4, **options: Any) -> np.ndarray:
    return read_pictures([path], image_size, **options)[0]


def reflectances(kind: Any) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 10_000, (8, 8)).astype(kind)


@pytest.mark.filterwarnings("ignore:no pixel of:UserWarning")
@pytest.mark.parametrize(("ending", "kind"), [("png", "<u2"), ("tif", "<u2"), ("tif", ">u2")])
def test_sixteen_bits_are_scaled_by_their_type_or_by_the_setting(tmp_path, ending, kind):
    values = reflectances(kind)
    path = tmp_path / f"image.{ending}"
    Image.fromarray(values).save(path)
    for top, options in ((65_535, {}), (10_000, {"max_value": 10_000})):
        image = one(path, 8, **options)
        assert image.shape == (3, 8, 8)
        np.testing.assert_allclose(image, np.broadcast_to(values / top, (3, 8, 8)), atol=1e-6)


def test_pictures_of_sixteen_bits_that_come_out_dark_suggest_what_to_set(tmp_path):
    for name, values in (("dim.png", reflectances(np.uint16)), ("full.png", reflectances(np.uint16) * 6)):
        Image.fromarray(values).save(tmp_path / name)
    Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / "night.png")
    dim, full, night = (tmp_path / name for name in ("dim.png", "full.png", "night.png"))
    with pytest.warns(UserWarning, match=r"dim\.png' and .* above 0\.15 of .*data\.max_value"):
        read_pictures([dim, dim], 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_pictures([dim, full], 8)
        read_pictures([dim], 8, max_value=10_000)
        read_pictures([night], 8)
        read_pictures([], 8)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_wider_and_floating_point_pixels_need_to_be_told_what_is_white(tmp_path, kind):
    values = reflectances(kind)
    path = tmp_path / "image.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(ValueError, match=r"image\.tif': pixels of .* need max_value \(of a scenario: data\."):
        one(path)
    np.testing.assert_allclose(one(path, 8, max_value=1e4)[1], values / 1e4, atol=1e-6)


@pytest.mark.parametrize(
    ("pixel", "words"),
    [
        (np.nan, "a pixel is NaN or infinite"),
        (np.inf, "a pixel is NaN or infinite"),
        (-0.5, "pixels from -0.5 to .*, allowed are 0 to max_value 1"),
        (1.5, "pixels from .* to 1.5, allowed are 0 to max_value 1"),
    ],
)
def test_pixels_outside_the_range_are_never_cut_off(tmp_path, pixel, words):
    values = np.full((8, 8), 0.5, dtype=np.float32)
    values[3, 3] = pixel
    Image.fromarray(values).save(tmp_path / "image.tif")
    with pytest.raises(ValueError, match=rf"image\.tif': {words}"):
        one(tmp_path / "image.tif", max_value=1)


@pytest.mark.parametrize("max_value", [0, -1, float("nan"), float("inf"), True, "10"])
def test_what_is_white_must_be_a_number_above_0(max_value):
    with pytest.raises(ValueError, match=r"max_value: .* is not a finite number above 0"):
        read_pictures([], 4, max_value=max_value)


def sixteen_bit_colours(path: Path) -> None:
    """A PNG of one red pixel with 16 bits per colour, which Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" + struct.pack(">HHH", 0x80FF, 0x4000, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def test_colours_of_sixteen_bits_give_their_upper_eight_and_have_no_other_white(tmp_path):
    sixteen_bit_colours(tmp_path / "image.png")
    np.testing.assert_allclose(one(tmp_path / "image.png", 1)[:, 0, 0] * 255, [0x80, 0x40, 0], atol=1e-4)
    with pytest.raises(ValueError, match=r"image\.png': max_value is for pictures of one number per pixel"):
        one(tmp_path / "image.png", max_value=10_000)


def write_tiff(path: Path, values: np.ndarray, **changed: list[int]) -> None:
    """A TIFF of one strip per plane as TIFF 6.0 has it, of kinds that Pillow does not write."""
    height, width = values.shape[-2:]
    planes = values.reshape(-1, height, width)
    bits, size = 8 * values.itemsize, planes[0].nbytes
    places = [8 + size * number for number in range(len(planes))]
    tags = {
        "width": (256, [width]), "height": (257, [height]), "bits": (258, [bits] * len(planes)), "packing": (259, [1]),
        "photometric": (262, [2 if len(planes) > 1 else 1]), "places": (273, places),
        "samples": (277, [len(planes)]), "rows": (278, [height]), "sizes": (279, [size] * len(planes)),
        "planar": (284, [2 if len(planes) > 1 else 1]), "kind": (339, [1] * len(planes)),
    }  # fmt: skip
    extra = 8 + values.nbytes
    entries, lists = b"", b""
    for name, (tag, default) in tags.items():
        numbers = changed.get(name, default)
        packed = struct.pack(f"<{len(numbers)}H", *numbers)
        if len(packed) > 4:
            lists, packed = lists + packed, struct.pack("<I", extra + len(lists))
        entries += struct.pack("<HHI", tag, 3, len(numbers)) + packed.ljust(4, b"\0")
    content = values.astype(values.dtype.newbyteorder("<")).tobytes() + lists
    directory = struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(content)) + content + directory)


def test_numbers_with_a_sign_are_scaled_by_the_setting(tmp_path):
    values = reflectances(np.int16)
    write_tiff(tmp_path / "image.tif", values, kind=[2])
    with pytest.raises(ValueError, match="with a sign need max_value"):
        one(tmp_path / "image.tif")
    np.testing.assert_allclose(one(tmp_path / "image.tif", 8, max_value=1e4)[1], values / 1e4, atol=1e-6)


def test_twelve_bits_are_scaled_by_their_type(tmp_path):
    # Two numbers share three bytes.
    packed = np.array([[0xFF, 0xF8, 0x00]] * 2, dtype=np.uint8)
    write_tiff(tmp_path / "image.tif", packed, width=[2], bits=[12])
    np.testing.assert_allclose(one(tmp_path / "image.tif", 2)[0], [[1, 0x800 / 0xFFF]] * 2, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "planes", "changed", "words"),
    [
        (np.uint16, 3, {}, "16 bits with colours stored apart"),
        (np.uint16, 1, {"photometric": [0]}, "16 bits with zero as white"),
        (np.int8, 1, {"kind": [2]}, "8 bits with a sign"),
    ],
)
def test_what_pillow_reads_wrongly_is_refused(tmp_path, kind, planes, changed, words):
    write_tiff(tmp_path / "image.tif", np.full((planes, 8, 8), 100, dtype=kind), **changed)
    with pytest.raises(ValueError, match=rf"image\.tif': a TIFF of {words} cannot be read"):
        one(tmp_path / "image.tif")


@pytest.mark.parametrize("top", [300, 10_000, 65_535])
def test_netpbm_states_its_own_greatest_value(tmp_path, top):
    values = (reflectances(np.uint16) % top).astype(">u2")
    (tmp_path / "image.pgm").write_bytes(b"P5 8 8 %d\n" % top + values.tobytes())
    np.testing.assert_allclose(one(tmp_path / "image.pgm", 8)[2], values / top, atol=1e-5)
    with pytest.raises(ValueError, match=r"image\.pgm': max_value must not be given"):
        one(tmp_path / "image.pgm", max_value=top)
    (tmp_path / "image.ppm").write_bytes(b"P6 8 8 %d\n" % top + np.repeat(values, 3).tobytes())
    with pytest.raises(ValueError, match=r"image\.ppm': max_value is for pictures of one number per pixel"):
        one(tmp_path / "image.ppm", max_value=top)


RED = (200, 20, 40)


@pytest.mark.parametrize(
    ("make", "ending", "expected"),
    [
        (lambda: Image.new("RGB", (6, 6), RED), "png", RED),
        (lambda: Image.new("RGBA", (6, 6), (*RED, 0)), "png", RED),
        (lambda: Image.new("RGB", (6, 6), RED).quantize(4), "png", RED),
        (lambda: Image.new("RGB", (6, 6), RED).quantize(4), "BMP", RED),
        (lambda: Image.new("CMYK", (6, 6), (55, 235, 215, 0)), "tif", RED),
        (lambda: Image.new("LA", (6, 6), (90, 10)), "png", (90, 90, 90)),
        (lambda: Image.new("L", (6, 6), 90), "PGM", (90, 90, 90)),
        (lambda: Image.new("1", (6, 6), 1), "png", (255, 255, 255)),
        (lambda: Image.new("L", (1, 1), 90), "png", (90, 90, 90)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_colours_of_every_kind_become_three(tmp_path, make, ending, expected):
    path = tmp_path / f"image.{ending}"
    make().save(path)
    np.testing.assert_allclose(one(path)[:, 1, 1] * 255, expected, atol=2)


@pytest.mark.filterwarnings("error")
def test_a_palette_with_transparency_gives_its_colours(tmp_path):
    picture = Image.new("RGB", (6, 6), RED).quantize(4)
    picture.save(tmp_path / "image.png", transparency=bytes([0, 255, 255, 255]))
    np.testing.assert_allclose(one(tmp_path / "image.png")[:, 1, 1] * 255, RED, atol=2)


def test_the_orientation_that_cameras_note_is_applied(tmp_path):
    picture = Image.new("L", (8, 8))
    picture.paste(255, (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x112] = 3  # upside down
    picture.save(tmp_path / "image.png", exif=exif)
    image = one(tmp_path / "image.png", 8)
    assert image[0, 0].max() == 0
    assert image[0, -1].min() == 1


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def truncate(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:300])


def animate(path: Path) -> None:
    Image.new("L", (4, 4)).save(path, save_all=True, append_images=[Image.new("L", (4, 4), 9)])


def listen(path: Path) -> None:
    # The path of a socket may not be long.
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(before)


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (write(b""), "not an image of a known kind"),
    (write(b"hello, world\n"), "not an image of a known kind"),
    (write(b"\0\5\x16\7"), "not an image of a known kind"),
    (write(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "not an image of a known kind"),
    (truncate, "truncated"),
    (animate, "2 frames, allowed is one"),
    (os.mkfifo, "not a regular file"),
    (listen, "not a regular file"),
    (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    (write(b"P6 10000 9000 255\n"), "10000 x 9000 pixels, allowed are 89478485 in all"),
    (write(b"P6 99999999 99999999 255\n"), "exceeds limit|pixels"),
    (lambda path: Image.new("L", (1, 101)).save(path), "1 x 101 pixels, one side may be 100 times the other"),
]


@pytest.mark.parametrize(("spoil", "words"), BROKEN)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_file_that_is_no_image_is_refused_by_name_in_one_line(tmp_path, spoil, words):
    spoil(folders(tmp_path) / "b" / "ünsere.PNG")
    with pytest.raises(ValueError, match=rf"image '.*b/ünsere\.PNG': .*({words})") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ScenarioError, match=r"data\.source: image .*ünsere"):
        scenarios.build(with_images(tmp_path))


def test_a_file_that_may_not_be_read_is_refused_by_name(tmp_path, monkeypatch):
    def forbidden(path: Path, *options: Any, **named: Any) -> Any:
        if path.suffix == ".png":
            raise PermissionError(13, "Permission denied")
        return usual(path, *options, **named)

    folders(tmp_path)
    usual = Path.open
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(ValueError, match=r"image '.*a/0\.png': Permission denied"):
        load(tmp_path)


@pytest.mark.parametrize("users", [True, False])
def test_the_users_setting_for_truncated_files_decides_nothing_and_stays(tmp_path, monkeypatch, users):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", users)
    truncate(tmp_path / "image.png")
    with pytest.raises(ValueError, match="truncated"):
        one(tmp_path / "image.png")
    assert users is ImageFile.LOAD_TRUNCATED_IMAGES


def test_hidden_files_and_folders_are_no_images(tmp_path):
    folders(tmp_path)
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "a/.cache"):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / name / "copy.png")
    (tmp_path / "a" / "._0.png").write_bytes(b"\0\5\x16\7")
    for name in (".DS_Store", "a/.DS_Store", "a/Thumbs.db", "a/notes.txt", "readme.png"):
        (tmp_path / name).write_bytes(b"no image")
    found = find_class_files(tmp_path)
    assert found.names == ("a", "b")
    assert [path.name for path in found.paths] == [f"{number}.png" for number in range(5)] * 2
    assert found.labels == [0] * 5 + [1] * 5


def test_images_lie_at_any_depth_in_the_order_of_torchvision(tmp_path):
    from torchvision.datasets import ImageFolder

    folders(tmp_path)
    for name in ("x", "x/deep", "x-y", "y.png"):
        (tmp_path / "a" / name).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / "a" / name / "image.TIF")
    (tmp_path / "c").symlink_to(tmp_path / "b")
    theirs = ImageFolder(tmp_path)
    ours = find_class_files(tmp_path)
    assert list(ours.names) == theirs.classes
    assert [(str(path), label) for path, label in zip(ours.paths, ours.labels, strict=True)] == theirs.samples


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "a" / "up").symlink_to(root / "a"), "a/up' is a link back to a folder that holds it"),
        (lambda root: (root / "a" / "up").symlink_to(root), "is a link back to a folder that holds it"),
        (lambda root: (root / "a" / "9.png").symlink_to("gone.png"), r"a/9\.png' is a link to nothing"),
        (lambda root: (root / "c").symlink_to("gone"), "c' is a link to nothing"),
        (lambda root: (root / "a" / "9.png").symlink_to("9.png"), r"a/9\.png' is a link to nothing"),
    ],
)
def test_links_that_lead_nowhere_are_refused_by_name(tmp_path, spoil, words):
    spoil(folders(tmp_path))
    with pytest.raises(ValueError, match=words):
        load(tmp_path)


def test_two_folders_that_link_to_each_other_are_refused(tmp_path):
    folders(tmp_path)
    (tmp_path / "a" / "x").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "y").symlink_to(tmp_path / "a")
    with pytest.raises(ValueError, match="is a link back to a folder that holds it"):
        load(tmp_path)


def test_classes_without_images_are_named(tmp_path):
    (folders(tmp_path) / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no image in class folder '.*/empty', allowed are \.jpg"):
        load(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no class folder in '.*/none'"):
        load(tmp_path / "none")


def test_what_is_kept_goes_by_the_absolute_path(tmp_path, monkeypatch):
    means = []
    for name, shade in (("dark", 0), ("light", 255)):
        for label in "ab":
            (tmp_path / name / "data" / label).mkdir(parents=True)
            for number in range(5):
                Image.new("L", (4, 4), shade).save(tmp_path / name / "data" / label / f"{number}.png")
        monkeypatch.chdir(tmp_path / name)
        means.append(load(Path("data")).train_images.mean())
        monkeypatch.setenv("SATFL_DATA", "data")
        means.append(load_images("image-folder", image_size=4).train_images.mean())
    assert means == [0, 0, 1, 1]


def test_what_is_kept_is_read_again_when_a_file_changes(tmp_path):
    before = load(folders(tmp_path))
    assert load(tmp_path) is before
    Image.new("RGB", (12, 10), (255, 255, 255)).save(tmp_path / "a" / "9.png")
    after = load(tmp_path)
    assert len(after.train_images) + len(after.test_images) == 11


def test_the_white_of_a_scenario_reaches_its_images(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(20):
            Image.fromarray(np.full((8, 8), 5000, dtype=np.uint16)).save(tmp_path / label / f"{number}.png")
    images = scenarios.build(with_images(tmp_path, max_value=10_000)).ingredients.data.images
    np.testing.assert_allclose(images.train_images, 0.5)
    with pytest.raises(ScenarioError, match=r"max_value does not go with source 'digits': 'image-folder' alone"):
        scenarios.load("leo-multitask", **{"data.max_value": 3})


def test_own_images_of_sixteen_bits_and_palettes_are_scaled():
    pixels = reflectances(np.uint16)[None]
    images = own_images((pixels, np.array([0])), (pixels, np.array([0])))
    np.testing.assert_allclose(images.train_images[0, 0], pixels[0] / 65_535, atol=1e-6)
    pairs = [(Image.new("RGB", (4, 4), RED).quantize(4), 0)]
    np.testing.assert_allclose(own_images(pairs, pairs).train_images[0, :, 0, 0] * 255, RED, atol=2)
