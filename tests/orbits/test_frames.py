from __future__ import annotations

import ast
import re
import socket
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import GCRS, ITRS, TEME, CartesianDifferential, CartesianRepresentation, get_sun
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.orbits import frames, make_epoch, sun_position_m, times_after
from satfl_env.orbits.frames import earth_fixed, gcrs_to_teme, offline, teme_to_itrs
from tests.timing import within_a_second

POSITION_M = np.array([[-4.2e6, 3.1e6, 4.6e6]])
VELOCITY_MPS = np.array([[-5.1e3, -5.3e3, -1.1e3]])


@pytest.mark.parametrize("year", [2020, 2023, 2026, 2028, 2030])
def test_states_turn_with_the_earth_as_astropy_says(year: int) -> None:
    epoch = make_epoch(f"{year}-07-04T05:06:07")
    position, velocity = earth_fixed(teme_to_itrs(epoch, np.array([4321.0])), POSITION_M[None], VELOCITY_MPS[None])
    with offline():
        time = epoch + 4321.0 * units.s
        state = CartesianRepresentation(
            *POSITION_M[0] * units.m, differentials=CartesianDifferential(*VELOCITY_MPS[0] * units.m / units.s)
        )
        expected = TEME(state, obstime=time).transform_to(ITRS(obstime=time))
    np.testing.assert_allclose(position[0, 0], expected.cartesian.xyz.to_value(units.m), atol=1e-3)
    np.testing.assert_allclose(velocity[0, 0], expected.velocity.d_xyz.to_value(units.m / units.s), atol=1e-3)


def test_earth_fixed_velocity_is_the_derivative_of_the_position() -> None:
    epoch = make_epoch("2026-03-01")
    time_s = np.array([-0.5, 0.0, 0.5])
    inertial = POSITION_M + time_s[:, None, None] * VELOCITY_MPS
    position, velocity = earth_fixed(teme_to_itrs(epoch, time_s), inertial, np.tile(VELOCITY_MPS, (3, 1, 1)))
    np.testing.assert_allclose(position[2] - position[0], velocity[1], atol=1e-3)


def test_gcrs_to_teme_agrees_with_astropy() -> None:
    epoch = make_epoch("2026-03-01")
    with offline():
        there = GCRS(CartesianRepresentation(*POSITION_M[0] * units.m), obstime=epoch)
        expected = there.transform_to(TEME(obstime=epoch)).cartesian.xyz.to_value(units.m)
    np.testing.assert_allclose(gcrs_to_teme(epoch) @ POSITION_M[0], expected, atol=1e-3)


def test_sun_stands_over_the_right_place() -> None:
    # At the March equinox of 2024 (03:06 UTC, 20 March) the Sun crossed the equator.
    sun = sun_position_m(make_epoch("2024-03-20T03:06:00"), np.array([0.0]))[0]
    assert np.degrees(np.arcsin(sun[2] / np.linalg.norm(sun))) == pytest.approx(0.0, abs=0.01)
    # At noon UTC the equation of time, -7.4 minutes then, puts it 1.85 degrees east of Greenwich.
    sun = sun_position_m(make_epoch("2024-03-20T12:00:00"), np.array([0.0]))[0]
    assert np.degrees(np.arctan2(sun[1], sun[0])) == pytest.approx(1.85, abs=0.05)
    assert np.linalg.norm(sun) == pytest.approx(1.496e11, rel=0.02)


def test_needs_no_network_and_leaves_astropy_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = iers.conf.auto_download, iers.conf.auto_max_age
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for year in range(2020, 2031):
            rotation = teme_to_itrs(make_epoch(f"{year}-12-31T23:00:00"), np.array([0.0, 3600.0]))
            np.testing.assert_allclose(rotation @ rotation.swapaxes(1, 2), np.tile(np.eye(3), (2, 1, 1)), atol=1e-12)
    assert (iers.conf.auto_download, iers.conf.auto_max_age) == before


def test_times_count_si_seconds() -> None:
    times = times_after(make_epoch("2026-03-01T00:00:00"), np.array([0.0, 86_400.0]))
    assert list(times.isot) == ["2026-03-01T00:00:00.000", "2026-03-02T00:00:00.000"]


def test_epochs_of_other_scales_become_utc() -> None:
    assert make_epoch(Time("2026-03-01T00:00:37", scale="tai")).isot == "2026-03-01T00:00:00.000"


@pytest.mark.parametrize(
    ("epoch", "message"),
    [
        ("yesterday", "epoch must be an ISO 8601"),
        ("1999-12-31", r"epoch must lie in the years 2000\.\.2035, got 1999"),
        ("2036-01-01", "epoch must lie in the years"),
        ("2026-01-01T12:00:00.5e5", "epoch must be an ISO 8601"),
        ("J2026.5", "epoch must be an ISO 8601"),
        ("\uff12\uff10\uff12\uff16-01-01", "epoch must be an ISO 8601"),
        ("2026-02-30", "epoch must be an ISO 8601"),
        (Time(["2026-01-01", "2026-01-02"]), "epoch must be one time"),
    ],
)
def test_epochs_out_of_range_are_named(epoch: Time | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_epoch(epoch)


def test_boinor_is_imported_only_when_wanted() -> None:
    for path in Path(frames.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert not re.search(r"(from|import) boinor", ast.unparse(node)), path


@settings(deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"\A2\d{3}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d*)?)?Z?)?\Z"))
@within_a_second()
def test_any_text_is_an_epoch_in_range_or_a_value_error(text: str) -> None:
    try:
        epoch = make_epoch(text)
    except ValueError:
        return
    assert "2000-01-01" <= epoch.isot <= "2036-01-01"


@pytest.mark.parametrize("epoch", ["2000-01-01T00:00:00", "2016-12-31T23:59:00", "2026-03-20T12:34:56", "2035-06-30"])
def test_the_sun_is_that_of_astropy_to_the_last_bit(epoch: str) -> None:
    start, time_s = make_epoch(epoch), np.linspace(0.0, 3e7, 100)
    with offline():
        gcrs = get_sun(times_after(start, time_s)).cartesian.xyz.to_value("m").T
    np.testing.assert_array_equal(frames.inertial_sun_position_m(start, time_s), gcrs @ gcrs_to_teme(start).T)
