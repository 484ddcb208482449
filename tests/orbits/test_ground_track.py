from __future__ import annotations

import numpy as np
import pytest
from skyfield.api import EarthSatellite, load, wgs84

from satfl_env.orbits import geodetic_deg, ground_track, load_elements, samples, walker

EPOCH = "2026-03-20T00:00:00"


def test_tracks_agree_with_skyfield() -> None:
    orbits = load_elements(samples()["sentinel-like"])
    time_s = np.array([0.0, 1800.0, 5000.0])
    track = ground_track(orbits, time_s)
    timescale = load.timescale(builtin=True)
    for row, seconds in enumerate(time_s):
        when = timescale.utc(2026, 1, 1, 0, 0, seconds)
        for column, record in enumerate(orbits.satellites):
            point = wgs84.subpoint_of(EarthSatellite.from_satrec(record, timescale).at(when))
            assert track.latitude_deg[row, column] == pytest.approx(point.latitude.degrees, abs=2e-3)
            difference = track.longitude_deg[row, column] - point.longitude.degrees
            assert (difference + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-2)


def test_the_sun_stands_highest_below_itself_and_lowest_behind() -> None:
    # At an equinox at noon UTC the Sun stands near the zenith of (0, 0): equation of time and declination are small.
    orbits = walker(360, 1, 0, altitude_m=800e3, inclination_deg=0, epoch="2026-03-20T12:00:00", j2=False)
    track = ground_track(orbits, np.zeros(1))
    highest = track.longitude_deg[0, track.sun_elevation_deg[0].argmax()]
    lowest = track.longitude_deg[0, track.sun_elevation_deg[0].argmin()]
    assert abs(highest) < 3
    assert abs(lowest) > 177
    assert track.sun_elevation_deg.max() == pytest.approx(90, abs=1.5)


def test_latitudes_stay_within_the_inclination_and_times_may_be_negative() -> None:
    orbits = walker(4, 2, 1, altitude_m=500e3, inclination_deg=53, epoch=EPOCH)
    track = ground_track(orbits, -np.arange(0.0, 12_000.0, 60.0))
    assert np.abs(track.latitude_deg).max() == pytest.approx(53.2, abs=0.1)  # geodetic is a little above geocentric
    latitude, longitude = geodetic_deg(np.array([[0.0, 7e6, 0.0], [0.0, 0.0, -7e6]]))
    np.testing.assert_allclose([latitude[0], longitude[0], latitude[1]], [0.0, 90.0, -90.0], atol=1e-9)


@pytest.mark.parametrize("j2", [True, False])
def test_advanced_orbits_are_the_same_satellites_later(j2: bool) -> None:
    orbits = walker(6, 3, 1, altitude_m=700e3, inclination_deg=60, epoch=EPOCH, j2=j2)
    later = orbits.advanced(5000.0)
    assert (later.epoch - orbits.epoch).sec == pytest.approx(5000.0, abs=1e-6)
    for one, other in zip(orbits.states(np.array([6000.0])), later.states(np.array([1000.0])), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(later.advanced(-5000.0).states(np.zeros(1))[0], orbits.states(np.zeros(1))[0], atol=1e-4)


def test_advanced_elements_are_flown_from_their_own_epoch() -> None:
    orbits = load_elements(samples()["polar-like"])
    later = orbits.advanced(3600.0)
    np.testing.assert_allclose(later.states(np.zeros(1))[0], orbits.states(np.array([3600.0]))[0], atol=1.0)
    with pytest.raises(ValueError, match="within 30 days"):
        orbits.advanced(40 * 86_400.0)
