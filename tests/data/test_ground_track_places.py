from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satfl_env.data import load_images, places_under_track
from satfl_env.data.blue_marble import TEST_STRIP, cut_tiles, read_land, tile_centres_deg

EARTH_RADIUS_M = 6_371_000.0


def great_circle_m(one_deg: np.ndarray, other_deg: np.ndarray) -> np.ndarray:
    """Haversine distance of all pairs, (N, M)."""
    (lat1, lon1), (lat2, lon2) = (np.radians(it).T for it in (one_deg, other_deg))
    half = (
        np.sin((lat1[:, None] - lat2) / 2) ** 2
        + np.cos(lat1)[:, None] * np.cos(lat2) * np.sin((lon1[:, None] - lon2) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


@given(seed=st.integers(0, 1000), swath_km=st.floats(100, 20_000))
def test_places_are_those_within_half_a_swath_of_a_lit_point(seed: int, swath_km: float) -> None:
    rng = np.random.default_rng(seed)
    places = np.column_stack([rng.uniform(-90, 90, 50), rng.uniform(-180, 180, 50)])
    latitude, longitude = rng.uniform(-90, 90, (7, 3)), rng.uniform(-180, 180, (7, 3))
    lit = rng.random((7, 3)) < 0.6
    seen = places_under_track(places, latitude, longitude, lit, swath_m=swath_km * 1e3)
    for satellite in range(3):
        points = np.column_stack([latitude[lit[:, satellite], satellite], longitude[lit[:, satellite], satellite]])
        near = (great_circle_m(places, points) <= swath_km * 500).any(axis=1)
        np.testing.assert_array_equal(seen[satellite], np.flatnonzero(near))


def test_nothing_is_seen_at_night_and_bad_arguments_are_refused() -> None:
    places, zeros = np.zeros((1, 2)), np.zeros((1, 2))
    dark = places_under_track(places, zeros, zeros, np.array([[True, False]]), swath_m=1e5)
    assert [len(indices) for indices in dark] == [1, 0]
    with pytest.raises(ValueError, match="swath_m: -1"):
        places_under_track(places, zeros, zeros, zeros > 0, swath_m=-1)
    with pytest.raises(ValueError, match="differ"):
        places_under_track(places, zeros, np.zeros((2, 2)), zeros > 0, swath_m=1.0)


def test_tiles_lie_where_their_coordinates_say() -> None:
    size, tile_px = (5400, 2700), 30
    centres = tile_centres_deg(size, tile_px)
    land = cut_tiles(read_land(size).view(np.uint8), tile_px).mean(axis=(1, 2))
    for (latitude, longitude), is_land in {(-25.0, 135.0): True, (0.0, -150.0): False, (50.0, 70.0): True}.items():
        nearest = np.abs(centres - (latitude, longitude)).sum(axis=1).argmin()
        assert (land[nearest] > 0.5) == is_land
    assert centres[0].tolist() == [89.0, -179.0]


def test_no_training_tile_lies_in_a_test_strip() -> None:
    images = load_images("blue-marble")
    assert images.train_places_deg is not None
    assert len(images.train_places_deg) == len(images.train_images)
    strip = (images.train_places_deg[:, 1] + 180) // 15 % 5
    assert not (strip == TEST_STRIP).any()
    assert load_images("digits").train_places_deg is None
