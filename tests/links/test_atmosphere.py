"""Loss in the atmosphere: the interpolation against `itur`, recorded or called, and what a link makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from satfl_env.links import Atmosphere, RadioLinks, recorded
from satfl_env.links import atmosphere as module
from satfl_env.links.angles import sine_of_elevation
from satfl_env.links.atmosphere import interpolated_loss_db, zenith_table_db
from satfl_env.links.itu import Site, slant_path_loss_db
from satfl_env.links.recorded import recorded_loss_db
from satfl_env.orbits import ConstellationScene, Gateway, site, walker
from tests.links import record_losses

needs_itur = pytest.mark.skipif(find_spec("itur") is None, reason="the extra 'links' is not installed")
KOUROU = Site(5.25, -52.8, 0.0)
# Knots of a table and, between each two, what itur 0.4.0 gives: Kourou, 20 GHz, 0.1 %, all effects.
RECORDED = Path(__file__).with_name("itur_kourou.csv")
EVERYTHING = ("gas", "scintillation", "cloud", "rain")


@pytest.fixture(autouse=True)
def fresh_tables() -> Iterator[None]:
    for cache in (module._tables, module._table):
        cache.cache_clear()
    yield
    for cache in (module._tables, module._table):
        cache.cache_clear()


@pytest.fixture
def cosecant(monkeypatch) -> list[Site]:
    """In place of `itur`: 1 dB at the zenith for each effect and as much more as the path is longer; who asked."""
    asked: list[Site] = []

    def loss_db(place, elevation_deg, *, effects, **rest):
        asked.append(place)
        return len(effects) / np.sin(np.radians(elevation_deg))

    monkeypatch.setattr(module, "slant_path_loss_db", loss_db)
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    return asked


def scene(*gateways: Gateway) -> ConstellationScene:
    orbits = walker(60, 6, 1, altitude_m=600e3, inclination_deg=75, epoch="2026-03-20T00:00:00")
    return ConstellationScene(orbits, gateways or (site("Kourou"), site("Svalbard")))


def test_between_knots_the_loss_is_iturs_to_a_tenth_of_a_decibel() -> None:
    elevation_deg, loss_db = np.loadtxt(RECORDED, delimiter=",", skiprows=1).T
    sine = np.sin(np.radians(elevation_deg))
    found_db = interpolated_loss_db((loss_db * sine)[None, ::2], sine[1::2, None])[:, 0]
    assert len(found_db) == 340
    # P.618 itself jumps at 25 degrees.
    smooth = np.abs(elevation_deg[1::2] - 25) > 0.3
    assert np.abs(found_db - loss_db[1::2])[smooth].max() < 0.1
    at_knots_db = interpolated_loss_db((loss_db * sine)[None, ::2], sine[::2, None])[:, 0]
    np.testing.assert_allclose(at_knots_db, loss_db[::2], atol=1e-3)


@needs_itur
@pytest.mark.parametrize(
    "place", [KOUROU, Site(78.23, 15.4, 460.0), Site(-23.0, -68.0, 5000.0), Site(35.5, 140.0, 0.0)]
)
@pytest.mark.parametrize(("carrier_hz", "percent"), [(10e9, 1.0), (20e9, 0.01), (30e9, 0.1), (55e9, 5.0)])
def test_tables_are_within_a_tenth_of_a_decibel_of_itur(place: Site, carrier_hz: float, percent: float) -> None:
    setting = Atmosphere(exceedance_percent=percent, cloud=True, rain=True)
    elevation_deg = np.concatenate([np.linspace(5, 90, 200), 90 - np.geomspace(1e-3, 1, 50)])
    elevation_deg = elevation_deg[np.abs(elevation_deg - 25) > 0.3]
    direct_db = slant_path_loss_db(
        place,
        elevation_deg,
        effects=EVERYTHING,
        carrier_hz=carrier_hz,
        exceedance_percent=percent,
        antenna_diameter_m=0.27,
    )
    table_db = zenith_table_db(setting, place, carrier_hz=carrier_hz, antenna_diameter_m=0.27)
    found_db = interpolated_loss_db(table_db[None], np.sin(np.radians(elevation_deg))[:, None])[:, 0]
    assert np.abs(found_db - direct_db).max() < 0.1


@needs_itur
@pytest.mark.parametrize(("carrier_hz", "rain_db"), [(10e9, 18.9), (20e9, 59.9), (30e9, 104.5)])
def test_rain_at_kourou(carrier_hz: float, rain_db: float) -> None:
    loss_db = slant_path_loss_db(
        KOUROU,
        np.array([10.0]),
        effects=["rain"],
        carrier_hz=carrier_hz,
        exceedance_percent=0.1,
        antenna_diameter_m=0.3,
    )
    assert loss_db[0] == pytest.approx(rain_db, abs=0.05)


@needs_itur
def test_losses_of_a_scene_are_those_of_its_sites() -> None:
    constellation = scene()
    snapshot = constellation.at(0.0)
    loss_db = Atmosphere(cloud=True).loss_db(snapshot, carrier_hz=20e9, antenna_diameter_m=0.5)
    elevation_deg = np.degrees(np.arcsin(sine_of_elevation(snapshot)))
    for column, gateway in enumerate(constellation.gateways):
        seen = elevation_deg[:, column] >= 5
        assert seen.any()
        direct_db = slant_path_loss_db(
            Site(gateway.latitude_deg, gateway.longitude_deg, gateway.altitude_m),
            elevation_deg[seen, column],
            effects=["gas", "scintillation", "cloud"],
            carrier_hz=20e9,
            exceedance_percent=1.0,
            antenna_diameter_m=0.5,
        )
        np.testing.assert_allclose(loss_db[seen, column], direct_db, atol=0.1)


def test_a_link_loses_the_atmospheres_loss_in_place_of_the_constant(cosecant) -> None:
    snapshot = scene().at(0.0)
    plain, lossy = RadioLinks(extra_loss_db=0.0), RadioLinks(atmosphere=Atmosphere())
    snr, less = (2 ** (links.solo_rate_bps(snapshot) / 1e9) - 1 for links in (plain, lossy))
    sine = np.maximum(sine_of_elevation(snapshot), np.sin(np.radians(5)))
    np.testing.assert_allclose(10 * np.log10(snr / less), 2 / sine, rtol=1e-6)
    association = np.where(snapshot.visible.any(axis=1), snapshot.visible.argmax(axis=1), 2)
    rate_bps = [links.associated_rate_bps(snapshot, association) for links in (plain, lossy)]
    assert (rate_bps[0] >= rate_bps[1]).all()
    assert lossy.highest_rate_bps(snapshot.distance_m.min()) == plain.highest_rate_bps(snapshot.distance_m.min())


def test_a_table_is_made_once_per_site(cosecant) -> None:
    constellation, setting = scene(), Atmosphere()
    for time_s in (0.0, 60.0, 120.0):
        setting.loss_db(constellation.at(time_s), carrier_hz=10e9, antenna_diameter_m=0.3)
    assert len(cosecant) == 2
    kourou = site("Kourou")
    assert cosecant[0] == pytest.approx((kourou.latitude_deg, kourou.longitude_deg, kourou.altitude_m), abs=0.1)


@pytest.mark.parametrize(("altitude_m", "effects"), [(0.0, 4), (9e3, 4), (20e3, 1), (50e3, 0)])
def test_weather_is_below_platforms_and_air_below_the_highest(cosecant, altitude_m: float, effects: int) -> None:
    high = Gateway("High", 10.0, 20.0, altitude_m=altitude_m, min_elevation_deg=0.0)
    snapshot = scene(high).at(0.0)
    loss_db = Atmosphere(cloud=True, rain=True).loss_db(snapshot, carrier_hz=10e9, antenna_diameter_m=0.3)
    sine = np.maximum(sine_of_elevation(snapshot), np.sin(np.radians(5)))
    np.testing.assert_allclose(loss_db, effects / sine, rtol=1e-5)


def test_without_itur_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"itur.*not installed: pip install -e '\.\[links\]'"):
        RadioLinks(atmosphere=Atmosphere()).solo_rate_bps(scene().at(0.0))


def test_recorded_losses_need_no_itur(monkeypatch) -> None:
    """The row of Kourou beside another record of the same, of which P.618's jump at 25 degrees is left out."""
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    elevation_deg, expected_db = np.loadtxt(RECORDED, delimiter=",", skiprows=1)[::2].T
    kourou, setting = site("Kourou"), Atmosphere(exceedance_percent=0.1, cloud=True, rain=True)
    place = Site(kourou.latitude_deg, kourou.longitude_deg, kourou.altitude_m)
    diameter_m = recorded.ANTENNA_DIAMETER_M
    table_db = zenith_table_db(setting, place, carrier_hz=20e9, antenna_diameter_m=diameter_m)
    sine = np.sin(np.radians(elevation_deg))
    np.testing.assert_allclose(table_db / sine, expected_db, atol=0.2)
    links = RadioLinks(carrier_hz=20e9, array_shape=(64, 64), atmosphere=setting)
    assert (links.solo_rate_bps(scene().at(0.0)) > 0).any()


@needs_itur
@pytest.mark.parametrize("name", ["Svalbard", "Kourou", "McMurdo"])
def test_recorded_losses_are_iturs(name: str) -> None:
    place = site(name)
    where = Site(place.latitude_deg, place.longitude_deg, place.altitude_m)
    case = Atmosphere(exceedance_percent=0.1, cloud=True, rain=True).case(
        where, recorded.CARRIER_HZ, recorded.ANTENNA_DIAMETER_M
    )
    np.testing.assert_allclose(recorded_loss_db(where, **case), record_losses.loss_db(where), atol=0.006)


@pytest.mark.parametrize(
    "change", [{"carrier_hz": 19e9}, {"exceedance_percent": 0.2}, {"antenna_diameter_m": 0.5}, {"effects": ["gas"]}]
)
def test_other_losses_are_not_recorded(change: dict) -> None:
    place = site("Kourou")
    where = Site(place.latitude_deg, place.longitude_deg, place.altitude_m)
    setting = Atmosphere(exceedance_percent=0.1, cloud=True, rain=True)
    case = setting.case(where, recorded.CARRIER_HZ, recorded.ANTENNA_DIAMETER_M)
    assert recorded_loss_db(where, **case) is not None
    assert recorded_loss_db(where._replace(latitude_deg=5.0), **case) is None
    assert recorded_loss_db(where, **{**case, **change}) is None


def test_flat_ground_has_no_atmosphere(cosecant, at) -> None:
    flat = at(np.array([[0.0, 0.0, 5e5]]), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="gateways on the globe"):
        RadioLinks(atmosphere=Atmosphere()).solo_rate_bps(flat)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"exceedance_percent": 0.001}, "exceedance_percent"),
        ({"exceedance_percent": 60}, "exceedance_percent"),
        ({"exceedance_percent": 10, "rain": True}, "exceedance_percent must be at most 5 with rain, got 10"),
    ],
)
def test_bad_settings_are_named(cosecant, setting: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Atmosphere(**setting)


def test_a_carrier_without_a_recommendation_is_refused(cosecant) -> None:
    with pytest.raises(ValueError, match=r"carrier_hz must lie in 1e\+09\.\.5\.5e\+10 with an atmosphere, got 7e\+10"):
        RadioLinks(carrier_hz=70e9, atmosphere=Atmosphere())
