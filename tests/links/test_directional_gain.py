"""Gains that depend on direction: the array's size, its scan loss and a satellite's pattern."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from satfl_env.links import (
    RadioLinks,
    circular_aperture_pattern,
    planar_array_gain_dbi,
    scan_gain,
    upa_gain,
)
from satfl_env.links.angles import cosine_off_nadir, sine_of_elevation
from satfl_env.links.antenna import aperture_diameter_m
from satfl_env.orbits import ConstellationScene, Gateway, walker

UP = np.array([0.0, 0.0, 1.0])


def directivity_dbi(num_elements: int, exponent: float) -> float:
    """4 pi over the integral of a square array's pattern and its elements' over the upper half space."""
    zenith, azimuth = np.linspace(0, np.pi / 2, 1001), np.linspace(0, 2 * np.pi, 400, endpoint=False)
    z, a = np.meshgrid(zenith, azimuth, indexing="ij")
    looked = np.stack([np.sin(z) * np.cos(a), np.sin(z) * np.sin(a), np.cos(z)], axis=-1)
    power = upa_gain(UP, looked, (num_elements, num_elements)) * np.cos(z) ** exponent * np.sin(z)
    return float(10 * np.log10(4 * np.pi / np.trapezoid(2 * np.pi * power.mean(axis=1), zenith)))


@pytest.mark.parametrize(("exponent", "tolerance_db"), [(0.0, 0.2), (1.0, 0.01)])
def test_the_gain_of_an_array_is_the_integral_over_its_pattern(exponent: float, tolerance_db: float) -> None:
    gain_dbi = planar_array_gain_dbi((16, 16), 1.0)
    assert gain_dbi == pytest.approx(29.05, abs=0.01)
    assert gain_dbi == pytest.approx(directivity_dbi(16, exponent), abs=tolerance_db)


def test_efficiency_and_elements_count_in_the_gain() -> None:
    assert planar_array_gain_dbi((8, 4), 0.5) == pytest.approx(10 * np.log10(np.pi * 16))


def test_the_disc_of_an_array_has_its_area() -> None:
    side_m = 8 * 299_792_458.0 / 10e9
    assert np.pi / 4 * aperture_diameter_m((16, 16), 10e9) ** 2 == pytest.approx(side_m**2)


def test_scan_gain_is_a_power_of_the_cosine() -> None:
    sine = np.sin(np.radians([90.0, 30.0, 10.0, 0.0, -20.0]))
    np.testing.assert_allclose(scan_gain(sine, 1.5), [1.0, 0.5**1.5, sine[2] ** 1.5, 0.0, 0.0])


def lit_disc(sine: float, size: float) -> float:
    """Power of a disc of radius a that is evenly lit, k a = size: the Fourier transform of its chords."""
    field = quad(lambda x: 2 * np.sqrt(1 - x * x) * np.cos(size * sine * x), -1, 1)[0]
    return float((field / np.pi) ** 2)


@given(gain_dbi=st.floats(-3, 30), angle_deg=st.floats(0, 90))
def test_a_satellites_pattern_is_that_of_an_evenly_lit_disc(gain_dbi: float, angle_deg: float) -> None:
    angle = np.radians(angle_deg)
    pattern = circular_aperture_pattern(np.cos(angle), gain_dbi)
    assert 0 <= pattern <= 1
    assert pattern == pytest.approx(lit_disc(np.sin(angle), 10 ** (gain_dbi / 20)), abs=1e-6)


def test_nothing_goes_out_behind_an_aperture_and_each_may_have_its_own_gain() -> None:
    cosine = np.array([[1.0, 0.5, -0.1], [1.0, 0.5, -0.1]])
    pattern = circular_aperture_pattern(cosine, np.array([[0.0], [20.0]]))
    np.testing.assert_array_equal(pattern[:, [0, 2]], [[1, 0], [1, 0]])
    assert pattern[0, 1] > pattern[1, 1]


def globe_scene() -> ConstellationScene:
    gateways = [Gateway("North", 78.0, 15.0, 400.0), Gateway("West", -12.0, -70.0)]
    return ConstellationScene(
        walker(12, 3, 1, altitude_m=600e3, inclination_deg=80, epoch="2026-03-20T00:00:00"), gateways
    )


def test_angles_at_both_ends_agree_with_the_triangle_of_the_earths_centre() -> None:
    snapshot = globe_scene().at(0.0)
    sight = snapshot.position_m[:, None] - snapshot.gateway_position_m
    unit = sight / np.linalg.norm(sight, axis=-1, keepdims=True)
    np.testing.assert_allclose(sine_of_elevation(snapshot), np.einsum("sgi,gi->sg", unit, snapshot.gateway_frame[:, 2]))
    down = -snapshot.position_m / np.linalg.norm(snapshot.position_m, axis=-1, keepdims=True)
    np.testing.assert_allclose(cosine_off_nadir(snapshot), np.einsum("sgi,si->sg", -unit, down), atol=1e-12)


def test_on_flat_ground_the_angle_off_nadir_is_that_off_the_zenith(at) -> None:
    scene = at(np.array([[3e5, 0.0, 4e5]]), np.zeros((1, 3)))
    assert sine_of_elevation(scene) == pytest.approx(0.8)
    assert cosine_off_nadir(scene) == pytest.approx(0.8)


LINKS = RadioLinks(satellite_gain_dbi=6.0, array_shape=(8, 8))


def solo_snr(links: RadioLinks, scene) -> np.ndarray:
    return 2 ** (links.solo_rate_bps(scene) / min(links.bandwidth_hz, links.satellite_budget_hz)) - 1


@pytest.mark.parametrize(
    ("option", "factor"),
    [
        ({"array_efficiency": 0.7}, np.pi * 64 * 0.7 / 10**4.5),
        ({"scan_exponent": 1.3}, 0.8**1.3),
        ({"satellite_pattern": "nadir"}, lit_disc(0.6, 10**0.3)),
    ],
)
def test_each_option_multiplies_the_gain_of_a_link(at, option: dict, factor: float) -> None:
    scene = at(np.array([[3e5, 0.0, 4e5]]), np.zeros((1, 3)))
    links = RadioLinks(satellite_gain_dbi=6.0, array_shape=(8, 8), **option)
    assert solo_snr(links, scene) == pytest.approx(solo_snr(LINKS, scene) * factor)


def test_interference_comes_with_the_gains_of_its_own_direction(at) -> None:
    position = np.array([[1e5, 0.0, 5e5], [1.4e6, 3e5, 5e5]])
    gateway = np.array([[0.0, 0.0, 0.0], [1.5e6, 0.0, 0.0]])
    scene = at(position, gateway)
    links = RadioLinks(satellite_gain_dbi=6.0, array_shape=(4, 4), scan_exponent=1.2, satellite_pattern="nadir")
    rate_bps = links.associated_rate_bps(scene, np.array([0, 1]))
    # Signal over noise of each pair at the whole band; the interferer's is turned down by the array.
    snr = solo_snr(links, scene)
    sight = position - gateway[0]
    wanted, other = sight / np.linalg.norm(sight, axis=-1, keepdims=True)
    expected = snr[0, 0] / (1 + snr[1, 0] * upa_gain(wanted, other, (4, 4)))
    assert rate_bps[0] == pytest.approx(1e9 * np.log2(1 + expected))


def test_satellites_may_have_gains_and_patterns_of_their_own(at) -> None:
    scene = globe_scene().at(0.0)
    gain_dbi = np.linspace(0.0, 12.0, 12)
    links = RadioLinks(satellite_pattern="nadir")
    vars(links).update(satellite_gain_dbi=gain_dbi)
    rate_bps = links.solo_rate_bps(scene)
    for satellite, own_dbi in enumerate(gain_dbi):
        alone = RadioLinks(satellite_gain_dbi=own_dbi, satellite_pattern="nadir").solo_rate_bps(scene)
        np.testing.assert_allclose(rate_bps[satellite], alone[satellite], rtol=1e-12)


def test_the_highest_rate_bounds_every_direction(at) -> None:
    scene = globe_scene().at(0.0)
    links = RadioLinks(array_efficiency=1.0, scan_exponent=1.0, satellite_pattern="nadir", satellite_gain_dbi=6.0)
    rate_bps = links.solo_rate_bps(scene)
    assert rate_bps.max() <= links.highest_rate_bps(scene.distance_m.min())
    below = sine_of_elevation(scene) <= 0
    assert below.any()
    assert (rate_bps[below] == 0).all()


@pytest.mark.parametrize(
    ("name", "value"), [("array_efficiency", 1.2), ("scan_exponent", -1), ("satellite_pattern", "up")]
)
def test_bad_options_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        RadioLinks(**{name: value})  # type: ignore[arg-type]
