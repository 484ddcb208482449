from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env.orbits import (
    earth_fixed_states,
    eclipses,
    in_cylindrical_shadow,
    line_of_sight,
    sun_position_m,
    sunlit_fraction,
    sunlit_s,
    walker,
)
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.orbits.eclipse import SUN_RADIUS_M

EPOCH = "2026-03-01T00:00:00"
SHELL = walker(4, 2, 1, altitude_m=550e3, inclination_deg=53, epoch=EPOCH)


def ray_hits_earth(origin: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether the ray from each origin to its target meets the sphere: the quadratic for the hit has a root ahead."""
    way = target - origin
    a, b, c = (way**2).sum(-1), 2 * (origin * way).sum(-1), (origin**2).sum(-1) - EQUATORIAL_RADIUS_M**2
    discriminant = b**2 - 4 * a * c
    nearest = (-b - np.sqrt(np.maximum(discriminant, 0))) / (2 * a)
    return (discriminant > 0) & (nearest > 0) & (nearest < 1)


def ray_traced_fraction(position: np.ndarray, sun: np.ndarray, rays: int = 4000) -> np.ndarray:
    """Part of rays, spread evenly over the Sun's disc, that the Earth does not stop."""
    index = np.arange(rays) + 0.5
    radius, angle = SUN_RADIUS_M * np.sqrt(index / rays), np.pi * (1 + 5**0.5) * index
    ahead = sun - position
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    side = np.cross(ahead, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    third = np.cross(ahead, side)
    disc = (np.cos(angle) * radius)[:, None] * side[:, None] + (np.sin(angle) * radius)[:, None] * third[:, None]
    return 1 - ray_hits_earth(position[:, None], sun[:, None] + disc).mean(axis=1)


def test_shadows_agree_with_rays() -> None:
    time_s = np.arange(0.0, 6000.0, 10.0)
    position = earth_fixed_states(SHELL, time_s)[0][:, 1]
    sun = sun_position_m(SHELL.epoch, time_s)
    np.testing.assert_allclose(sunlit_fraction(position, sun), ray_traced_fraction(position, sun), atol=0.01)
    far = position + 1e13 * sun / np.linalg.norm(sun, axis=-1, keepdims=True)
    np.testing.assert_array_equal(in_cylindrical_shadow(position, sun), ray_hits_earth(position, far))


def test_eclipse_entry_and_exit_agree_with_rays() -> None:
    time_s = np.arange(0.0, 6000.0, 0.5)
    position = earth_fixed_states(SHELL, time_s)[0][:, 1]
    sun = sun_position_m(SHELL.epoch, time_s)
    ours = sunlit_fraction(position, sun)
    # Only near the shadow's edge are rays needed to tell penumbra from light and from dark.
    near = np.flatnonzero(np.diff(in_cylindrical_shadow(position, sun).astype(int)))
    for edge in near:
        window = slice(max(edge - 60, 0), edge + 60)
        traced = ray_traced_fraction(position[window], sun[window], rays=2000)
        for level in (0.02, 0.5, 0.98):
            crossing = np.flatnonzero(np.diff((ours[window] > level).astype(int)))
            expected = np.flatnonzero(np.diff((traced > level).astype(int)))
            np.testing.assert_allclose(time_s[crossing], time_s[expected], atol=1.0)
    assert len(near) >= 2


def test_sunlit_time_is_the_integral() -> None:
    time_s = np.arange(0.5, 5800.0)
    position = earth_fixed_states(SHELL, time_s)[0]
    sun = sun_position_m(SHELL.epoch, time_s)[:, None]
    # Two to four crossings of the edge, each met to half of a step of 20 s.
    np.testing.assert_allclose(sunlit_s(SHELL, 0.0, 5800.0), sunlit_fraction(position, sun).sum(axis=0), atol=20.0)
    dark = in_cylindrical_shadow(position, sun).sum(axis=0)
    np.testing.assert_allclose(sunlit_s(SHELL, 0.0, 5800.0, conical=False), 5800.0 - dark, atol=20.0)
    # A low orbit is dark for rather more than a third of a turn when the Sun is near its plane.
    assert 0.55 < sunlit_s(SHELL, 0.0, 5740.0).mean() / 5740.0 < 0.75


def test_sunlit_time_of_a_dawn_orbit_and_of_no_time() -> None:
    np.testing.assert_array_equal(sunlit_s(SHELL, 100.0, 100.0), 0.0)
    with pytest.raises(ValueError, match="end_s must not lie before"):
        sunlit_s(SHELL, 100.0, 99.0)
    sun = sun_position_m(SHELL.epoch, np.zeros(1))[0]
    high = 3 * EQUATORIAL_RADIUS_M * sun / np.linalg.norm(sun)
    np.testing.assert_array_equal(sunlit_fraction(np.stack([high, -high]), sun), [1.0, 0.0])


def test_sun_behind_a_distant_earth_is_a_ring() -> None:
    # Four times farther than the umbra reaches, the Earth covers a sixteenth of the Sun or less.
    sun = np.array([1.5e11, 0.0, 0.0])
    fraction = float(sunlit_fraction(np.array([-5e9, 0.0, 0.0]), sun))
    covered = (EQUATORIAL_RADIUS_M / 5e9) ** 2 / (SUN_RADIUS_M / 1.55e11) ** 2
    assert fraction == pytest.approx(1 - covered, abs=1e-3)


@settings(max_examples=200, deadline=None)
@given(
    radii=st.tuples(*[st.floats(6.5e6, 4.3e7)] * 2), angle=st.floats(0, np.pi), height_m=st.sampled_from([0.0, 100e3])
)
def test_line_of_sight_agrees_with_the_horizons(radii: tuple[float, float], angle: float, height_m: float) -> None:
    block = EQUATORIAL_RADIUS_M + height_m
    first = np.array([radii[0], 0.0, 0.0])
    second = radii[1] * np.array([np.cos(angle), np.sin(angle), 0.0])
    # Two satellites see each other while their horizons overlap.
    limit = np.arccos(block / radii[0]) + np.arccos(block / radii[1])
    if abs(angle - limit) > 1e-6:
        assert line_of_sight(first, second, blocking_radius_m=block) == (angle < limit)


def test_line_of_sight_of_a_constellation_is_symmetric_and_agrees_with_rays() -> None:
    shell = walker(40, 5, 1, altitude_m=1200e3, inclination_deg=60, epoch=EPOCH)
    position = shell.states(np.zeros(1))[0][0]
    seen = line_of_sight(position[:, None], position)
    np.testing.assert_array_equal(seen, seen.T)
    assert seen.diagonal().all()
    apart = ~np.eye(40, dtype=bool)
    first, second = np.broadcast_arrays(position[:, None], position[None])
    np.testing.assert_array_equal(seen[apart], ~ray_hits_earth(first[apart], second[apart]))
    assert 0 < seen[apart].mean() < 0.5


def test_eclipses_begin_and_end_where_a_ray_to_the_suns_centre_meets_the_earth() -> None:
    found = eclipses(SHELL, 0.0, 6000.0)
    time_s = np.arange(0.0, 6000.0)
    sun = sun_position_m(SHELL.epoch, time_s)
    for satellite in (0, 3):
        dark = ray_hits_earth(earth_fixed_states(SHELL, time_s)[0][:, satellite], sun)
        change_s = time_s[1:][dark[1:] != dark[:-1]] - 0.5
        mine = found.row == satellite
        ours_s = np.sort(np.r_[found.start_s[mine], found.end_s[mine]])
        np.testing.assert_allclose(ours_s[(ours_s > 0) & (ours_s < 6000)], change_s, atol=0.51)
        lit_s = 6000 - (found.end_s - found.start_s)[mine].sum()
        assert lit_s == pytest.approx(sunlit_s(SHELL, 0.0, 6000.0)[satellite], abs=20)
