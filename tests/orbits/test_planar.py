from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from satfl_env.orbits import PlanarScene, Scene, remaining_window_s, uniform_phases

SPEED_MPS = 7600.0
kilometres = st.integers(-3000, 3000)


def make_scene(**changes: object) -> PlanarScene:
    settings: dict[str, object] = {
        "circle_radius_m": [1200e3, 1700e3, 2200e3],
        "phase_rad": [0.3, 2.0, 4.5],
        "gateway_m": [(0, 0), (3000e3, 0), (1500e3, 2000e3)],
        "centre_m": (1500e3, 2000e3 / 3),
        "speed_mps": SPEED_MPS,
        "altitude_m": 500e3,
        "coverage_radius_m": 2200e3,
    }
    return PlanarScene(**(settings | changes))  # type: ignore[arg-type]


def stepped_window_s(scene: PlanarScene, satellite: int, gateway: int, step_s: float) -> float:
    """Fly the satellite in small steps until it is outside the disc; infinite if it never leaves."""
    radius = scene.circle_radius_m[satellite]
    times = np.arange(0, 2 * np.pi * radius / scene.speed_mps + step_s, step_s)
    angle = scene.phase_rad[satellite] + times * scene.speed_mps / radius
    x = scene.centre_m[0] + radius * np.cos(angle) - scene.gateway_m[gateway, 0]
    y = scene.centre_m[1] + radius * np.sin(angle) - scene.gateway_m[gateway, 1]
    outside = np.hypot(x, y) > scene.coverage_radius_m * (1 + 1e-12)
    return float(times[outside.argmax()]) if outside.any() else np.inf


@settings(max_examples=60, deadline=None)
@given(
    radius_km=st.integers(300, 3000),
    phase=st.floats(-10, 10),
    gateway_km=st.tuples(kilometres, kilometres),
    coverage_km=st.integers(100, 6000),
)
def test_window_agrees_with_stepping_in_time(
    radius_km: int, phase: float, gateway_km: tuple[int, int], coverage_km: int
) -> None:
    scene = make_scene(
        circle_radius_m=[radius_km * 1e3],
        phase_rad=[phase],
        gateway_m=[(gateway_km[0] * 1e3, gateway_km[1] * 1e3)],
        centre_m=(0, 0),
        coverage_radius_m=coverage_km * 1e3,
    )
    # On the very edge a satellite is about to enter or has just left: rounding decides.
    horizontal_m = np.hypot(*(scene.at(0.0).position_m[0, :2] - scene.gateway_m[0]))
    assume(abs(horizontal_m - scene.coverage_radius_m) > 1.0)
    stepped = min(stepped_window_s(scene, 0, 0, step_s=0.25), scene.horizon_s)
    snapshot = scene.at(0.0)
    assert snapshot.window_s[0, 0] == pytest.approx(stepped, abs=0.251)
    assert snapshot.visible[0, 0] == (snapshot.window_s[0, 0] > 0)


def test_windows_count_down_as_time_passes() -> None:
    scene = make_scene()
    now, later = scene.at(100.0), scene.at(130.0)
    still = now.window_s > 30.0
    assert still.any()
    np.testing.assert_allclose(later.window_s[still], now.window_s[still] - 30.0, atol=1e-6)


def test_circle_inside_the_disc_has_the_horizon_as_window() -> None:
    over_the_gateway = {"gateway_m": [(0, 0)], "centre_m": (0, 0)}
    scene = make_scene(**over_the_gateway)
    period_s = 2 * np.pi * 2200e3 / SPEED_MPS
    np.testing.assert_allclose(scene.at(50.0).window_s, period_s)
    np.testing.assert_allclose(make_scene(**over_the_gateway, horizon_s=600.0).at(50.0).window_s, 600.0)
    np.testing.assert_allclose(make_scene(coverage_radius_m=np.inf).at(0.0).window_s, period_s)


def test_horizon_caps_every_window() -> None:
    assert make_scene(horizon_s=100.0).at(0.0).window_s.max() == 100.0


def test_satellite_that_never_meets_the_disc_has_no_window() -> None:
    window = remaining_window_s(
        np.linspace(0, 6, 50),
        np.full(50, 1e6),
        np.array([[5e6, 0.0], [0.0, 0.0]]),
        coverage_radius_m=5e5,
        speed_mps=1.0,
    )
    assert (window == 0).all()


def test_velocity_is_the_derivative_of_position_and_distance_the_slant_range() -> None:
    scene = make_scene()
    before, now, after = (scene.at(time) for time in (999.9, 1000.0, 1000.1))
    np.testing.assert_allclose((after.position_m - before.position_m) / 0.2, now.velocity_mps, atol=0.001)
    np.testing.assert_allclose(np.linalg.norm(now.velocity_mps, axis=1), SPEED_MPS)
    for s in range(3):
        for g in range(3):
            slant = np.sqrt(((now.position_m[s] - now.gateway_position_m[g]) ** 2).sum())
            assert now.distance_m[s, g] == pytest.approx(slant)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), time_s=st.floats(0, 1e5))
def test_bounds_hold_at_all_times(seed: int, time_s: float) -> None:
    rng = np.random.default_rng(seed)
    scene: Scene = make_scene(
        circle_radius_m=rng.uniform(3e5, 3e6, 6),
        phase_rad=uniform_phases(6, rng),
        gateway_m=rng.uniform(-2e6, 2e6, (4, 2)),
    )
    snapshot = scene.at(time_s)
    assert (scene.num_satellites, scene.num_gateways) == snapshot.distance_m.shape == (6, 4)
    assert scene.min_distance_m * (1 - 1e-9) <= snapshot.distance_m.min()
    assert snapshot.distance_m.max() <= scene.max_distance_m * (1 + 1e-9)
    assert np.abs(snapshot.position_m).max() <= scene.max_position_m * (1 + 1e-9)
    assert np.linalg.norm(snapshot.velocity_mps, axis=1).max() <= scene.max_speed_mps * (1 + 1e-9)
    assert snapshot.window_s.max() <= scene.horizon_s


def test_phases_are_uniform_and_follow_the_generator() -> None:
    phases = uniform_phases(20_000, np.random.default_rng(1))
    assert phases.min() >= 0
    assert phases.max() < 2 * np.pi
    assert np.abs(np.exp(1j * phases).mean()) < 0.02
    np.testing.assert_array_equal(phases, uniform_phases(20_000, np.random.default_rng(1)))


def test_scene_can_be_copied_and_pickled() -> None:
    scene = make_scene()
    for twin in (copy.deepcopy(scene), pickle.loads(pickle.dumps(scene))):
        np.testing.assert_array_equal(twin.at(77.0).window_s, scene.at(77.0).window_s)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("circle_radius_m", [1e6, -1e6, 1e6]),
        ("circle_radius_m", []),
        ("circle_radius_m", [[1e6, 1e6, 1e6]]),
        ("phase_rad", [0.0, 1.0]),
        ("phase_rad", [0.0, 1.0, np.nan]),
        ("gateway_m", [0.0, 1.0]),
        ("gateway_m", np.zeros((0, 2))),
        ("centre_m", [0.0]),
        ("speed_mps", 0.0),
        ("speed_mps", np.inf),
        ("altitude_m", -1.0),
        ("coverage_radius_m", np.nan),
        ("horizon_s", 0.0),
    ],
)
def test_bad_values_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        make_scene(**{name: value})
