from __future__ import annotations

import numpy as np
import pytest

from satfl_env.data import load_images, places_under_track
from satfl_env.data.blue_marble import TEST_STRIP, cut_tiles, read_land, tile_centres_deg
from satfl_env.orbits import GroundTrack, ground_track, walker

EARTH_RADIUS_M = 6_371_000.0


def great_circle_m(one_deg: np.ndarray, other_deg: np.ndarray) -> np.ndarray:
    """Haversine distance of all pairs, (N, M)."""
    (lat1, lon1), (lat2, lon2) = (np.radians(it).T for it in (one_deg, other_deg))
    half = (
        np.sin((lat1[:, None] - lat2) / 2) ** 2
        + np.cos(lat1)[:, None] * np.cos(lat2) * np.sin((lon1[:, None] - lon2) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


@pytest.mark.parametrize("swath_km", [60.0, 290.0, 1500.0])
def test_no_place_is_missed_that_a_look_every_second_finds(swath_km: float) -> None:
    orbits = walker(2, 2, 1, altitude_m=600e3, inclination_deg=97.8, epoch="2026-03-20T00:00:00")
    rng = np.random.default_rng(0)
    places = np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, 2000))), rng.uniform(-180, 180, 2000)])
    span_s, low_sun_deg = 3000.0, 10.0

    def track(step_s: float) -> GroundTrack:
        return ground_track(orbits, -np.linspace(0.0, span_s, int(span_s / step_s) + 1))

    coarse, every_second = track(20.0), track(1.0)
    seen = places_under_track(
        places,
        coarse.latitude_deg,
        coarse.longitude_deg,
        coarse.sun_elevation_deg,
        swath_m=swath_km * 1e3,
        min_sun_elevation_deg=low_sun_deg,
    )
    for satellite in range(2):
        lit = every_second.sun_elevation_deg[:, satellite] >= low_sun_deg, satellite
        points = np.column_stack([every_second.latitude_deg[lit], every_second.longitude_deg[lit]])
        distance_m = great_circle_m(places, points).min(axis=1)
        found = np.flatnonzero(distance_m <= swath_km * 500)
        assert len(found)
        assert np.isin(found, seen[satellite]).all()
        # A look every second leaves gaps of 7 km.
        others = np.setdiff1d(seen[satellite], found)
        assert (distance_m[others] <= np.hypot(swath_km * 500, 4e3) + 8e3).all()


def test_nothing_is_seen_at_night_and_bad_arguments_are_refused() -> None:
    places, zeros, sun_deg = np.zeros((1, 2)), np.zeros((2, 2)), np.array([[30.0, -30.0]] * 2)
    dark = places_under_track(places, zeros, zeros, sun_deg, swath_m=1e5, min_sun_elevation_deg=10.0)
    assert [len(indices) for indices in dark] == [1, 0]
    with pytest.raises(ValueError, match="swath_m: -1"):
        places_under_track(places, zeros, zeros, sun_deg, swath_m=-1, min_sun_elevation_deg=10.0)
    with pytest.raises(ValueError, match="differ"):
        places_under_track(places, zeros, np.zeros((3, 2)), sun_deg, swath_m=1.0, min_sun_elevation_deg=10.0)


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
