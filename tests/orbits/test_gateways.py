from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import ITRS, AltAz, CartesianRepresentation, EarthLocation
from astropy.time import Time

from satfl_env.orbits import Gateway, site, sites
from satfl_env.orbits.frames import offline
from satfl_env.orbits.ground_segment import ground_segment

PLACES = [Gateway("a", 78.2, 15.4, 450.0), Gateway("b", -33.0, 289.0, 9000.0, 5.0), Gateway("c", 0.0, 0.0, 0.0, 0.0)]


def test_elevation_agrees_with_astropy() -> None:
    ground = ground_segment(PLACES)
    satellite = np.array([4.0e6, 3.0e6, 5.5e6])
    for index, gateway in enumerate(PLACES):
        place = EarthLocation.from_geodetic(gateway.longitude_deg, gateway.latitude_deg, gateway.altitude_m)
        with offline():
            time = Time("2026-03-01")
            sight = ITRS(CartesianRepresentation(*satellite * units.m), obstime=time, location=place)
            relative = ITRS(sight.cartesian - place.get_itrs(time).cartesian, obstime=time, location=place)
            seen = relative.transform_to(AltAz(obstime=time, location=place))
        east, north, up = ground.frame[index] @ (satellite - ground.position_m[index])
        assert np.degrees(np.arctan2(up, np.hypot(east, north))) == pytest.approx(seen.alt.deg, abs=1e-6)
        assert np.degrees(np.arctan2(east, north)) % 360 == pytest.approx(seen.az.deg, abs=1e-6)


def test_frames_are_right_handed_axes() -> None:
    frame = ground_segment(PLACES).frame
    np.testing.assert_allclose(frame @ frame.swapaxes(1, 2), np.tile(np.eye(3), (3, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frame), 1.0)


def test_clearance_is_zero_on_the_cone() -> None:
    ground = ground_segment(PLACES)
    for index, gateway in enumerate(PLACES):
        for elevation_deg, sign in ((gateway.min_elevation_deg, 0), (gateway.min_elevation_deg + 5, 1), (-5.0, -1)):
            angle = np.radians(elevation_deg)
            ray = np.array([0.6 * np.cos(angle), 0.8 * np.cos(angle), np.sin(angle)]) @ ground.frame[index]
            clearance = ground.clearance_m((ground.position_m[index] + 1.5e6 * ray)[None])[0, index]
            assert clearance == pytest.approx(0.0, abs=1e-3) if sign == 0 else np.sign(clearance) == sign


def test_the_horizon_of_a_platform_touches_the_globe() -> None:
    platform = Gateway("p", 0.0, 0.0, 20e3, 0.0)
    ground, radius_m = ground_segment([platform]), 6_378_137.0
    down = np.radians(platform.horizon_deg)
    # Along the equator the ellipsoid is a circle.
    ray = np.array([np.cos(down), 0.0, np.sin(down)]) @ ground.frame[0]
    along_m = np.linspace(0.0, 2e6, 200_001)[:, None]
    lowest_m = np.linalg.norm(ground.position_m[0] + along_m * ray, axis=-1).min()
    assert lowest_m == pytest.approx(radius_m, abs=1e-3)


def test_shipped_sites_cover_the_globe() -> None:
    known = sites()
    assert len(known) >= 30
    latitude = [gateway.latitude_deg for gateway in known.values()]
    assert min(latitude) < -70
    assert max(latitude) > 75
    # Rounded coordinates as their operators publish them.
    assert (known["Svalbard"].latitude_deg, known["Svalbard"].longitude_deg) == (78.23, 15.39)
    assert (known["New Norcia"].latitude_deg, known["New Norcia"].longitude_deg) == (-31.05, 116.19)
    assert site("new norcia", min_elevation_deg=3.0).min_elevation_deg == 3.0


def test_unknown_sites_get_a_hint() -> None:
    with pytest.raises(ValueError, match="there is no site 'svalbart', did you mean 'Svalbard'"):
        site("svalbart")
    with pytest.raises(ValueError, match="known: Svalbard"):
        site("qqq")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latitude_deg": 91.0}, r"latitude_deg\n.* less than or equal to 90 .*=91"),
        ({"longitude_deg": -181.0}, r"longitude_deg\n.* greater than or equal to -180"),
        ({"altitude_m": 60_000.0}, r"altitude_m\n.* less than or equal to 50000"),
        ({"min_elevation_deg": -1.0}, r"min_elevation_deg must be at least 0, the horizon from 0 m, got -1"),
        (
            {"altitude_m": 20_000.0, "min_elevation_deg": -5.0},
            r"min_elevation_deg must be at least -4\.53147, the horizon from 20000 m, got -5",
        ),
        ({"latitude_deg": float("nan")}, "latitude_deg"),
        ({"min_elevation_deg": 90.0}, r"min_elevation_deg\n.* less than 90"),
    ],
)
def test_gateways_off_the_globe_are_named(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Gateway(**({"name": "x", "latitude_deg": 0.0, "longitude_deg": 0.0} | values))  # type: ignore[arg-type]
