from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sgp4.io import compute_checksum

from satfl_baselines.evaluate import run_episode
from satfl_env import scenarios
from satfl_env.orbits import ConstellationScene, Sgp4Orbits, load_elements, site
from satfl_env.orbits.element_set import record
from satfl_env.scenarios import ScenarioError
from tests.factories import decide


def call(done: list[str], function: Callable[..., Any], *args: Any) -> Any:
    done.append(function.__name__)
    return function(*args)


def line(text: str) -> str:
    return text + str(compute_checksum(text))


HIGH = [
    "HIGH",
    line("1 44001U 19001A   26001.50000000  .00000123  00000-0  12345-4 0  999"),
    line("2 44001  97.5000 120.0000 0001234  90.0000 270.1234 15.2000000012345"),
]
# At some 190 km, with a drag that brings it below 100 km after some eight hours.
FALLING = [
    "FALLING",
    line("1 44002U 19001A   26001.50000000  .02000000  00000-0  10000-1 0  999"),
    line("2 44002  97.5000 120.0000 0001234  90.0000 270.1234 16.3000000012345"),
]


@pytest.fixture
def elements(tmp_path: Path) -> str:
    path = tmp_path / "falling.tle"
    path.write_text("\n".join([*HIGH, *FALLING]), encoding="utf-8")
    return str(path)


def overrides(elements: str, **changes: Any) -> dict[str, Any]:
    return {
        "constellation.elements": elements,
        "data.partition": {"kind": "dirichlet", "alpha": 1.0, "total_samples": 40, "min_samples": 1},
        "data.test_samples": 2,
        "rounds": {"episode": 10, "minimum_s": 3600.0},
        "training.engine": "none",
        **{f"constellation.{name}": value for name, value in changes.items()},
    }


def test_a_satellite_comes_down_when_sgp4_has_it_below_100_km(elements: str) -> None:
    orbits = load_elements(elements)
    high_s, low_s = orbits.decays_s(86_400.0)
    assert high_s == np.inf
    time_s = np.arange(0.0, 86_400.0, 60.0)
    # Brute force: every minute, with SGP4 alone.
    fraction = orbits.epoch.jd2 + time_s / 86_400
    _, position_km, _ = orbits.satellites[1].sgp4_array(np.full(len(time_s), orbits.epoch.jd1), fraction)
    low = np.flatnonzero(~(np.linalg.norm(position_km, axis=-1) > 6478.137))
    assert low_s == time_s[low[0] - 1]
    assert 6 * 3600 < low_s < 10 * 3600
    assert orbits.decays_s(low_s - 60.0)[1] == np.inf


def test_elements_are_read_and_followed_once(monkeypatch: pytest.MonkeyPatch, elements: str) -> None:
    done: list[str] = []
    for place in ("scenarios.published_section.load_elements", "orbits.sgp4_orbits.time_of_decay_s"):
        counted = partial(call, done, resolve_name(f"satfl_env.{place}"))
        monkeypatch.setattr(f"satfl_env.{place}", counted)
    scenario = scenarios.load("sentinel", **overrides(elements, decay="leave-out"))
    assert scenario.constellation.num_satellites == 2
    scenarios.build(scenario).reset(0)
    assert sorted(done) == ["load_elements", "time_of_decay_s", "time_of_decay_s"]


def test_years_in_orbit_are_looked_through_at_once(elements: str) -> None:
    high = load_elements(elements).chosen(np.array([True, False]))
    start = time.process_time()
    decays_s = high.decays_s(20 * 365 * 86_400.0)
    assert decays_s == np.inf
    assert time.process_time() - start < 0.1
    # The next one who asks gets the same array.
    with pytest.raises(ValueError, match="read-only"):
        decays_s[0] = 0.0


@given(
    perigee_m=st.floats(205e3, 600e3),
    eccentricity=st.floats(0.0001, 0.3),
    drag=st.floats(-5.0, -1.0),
    days=st.floats(0.1, 10.0),
)
@settings(max_examples=30, deadline=None)
@example(perigee_m=230e3, eccentricity=0.001, drag=-2.0, days=0.9)
def test_no_decay_is_overlooked(perigee_m: float, eccentricity: float, drag: float, days: float) -> None:
    axis_m = (6_378_135.0 + perigee_m) / (1 - eccentricity)
    motion = 60 * np.sqrt(398_600.8e9 / axis_m**3)
    satellite = record(1, 2_461_041.5, 0.5, 10**drag, 0.0, 0.0, eccentricity, 1.0, 1.7, 2.0, motion, 3.0)
    orbits = Sgp4Orbits([satellite], ["ANY"])
    time_s = np.arange(0.0, days * 86_400.0, 60.0)
    error, position_km, _ = satellite.sgp4_array(np.full(len(time_s), 2_461_041.5), 0.5 + time_s / 86_400)
    down = (error != 0) | ~(np.linalg.norm(position_km, axis=-1) > 6478.137)
    assert np.isfinite(orbits.decays_s(time_s[-1])) == down.any()


def test_a_decay_is_refused_when_the_scenario_is_loaded(elements: str) -> None:
    with pytest.raises(ScenarioError, match=r"constellation\.decay: 'FALLING' comes down at 2026-01-01T19:34:00, .*"):
        scenarios.load("sentinel", **overrides(elements))
    # Two rounds of at most one orbit: over before it comes down.
    short = {"rounds": {"episode": 2}, "constellation.start_within_s": 0.0}
    assert scenarios.load("sentinel", **{**overrides(elements), **short})


def test_satellites_that_decay_can_be_left_out(elements: str, tmp_path: Path) -> None:
    env = gym.make("SatFL-v0", scenario="sentinel", overrides=overrides(elements, decay="leave-out"))
    observation, info = env.reset(seed=0)
    assert observation["visible"].shape[0] == 1
    assert not info["decayed"].any()
    (tmp_path / "alone.tle").write_text("\n".join(FALLING), encoding="utf-8")
    with pytest.raises(ScenarioError, match="decay: 'leave-out' must leave a satellite, but all come down"):
        scenarios.load("sentinel", **overrides(str(tmp_path / "alone.tle"), decay="leave-out"))


def test_an_episode_can_end_with_a_decay(elements: str) -> None:
    changes = overrides(elements, decay="end-episode", start_within_s=3600.0)
    env = gym.make("SatFL-v0", scenario="sentinel", overrides=changes)
    for seed in range(3):
        observation, info = env.reset(seed=seed)
        env.action_space.seed(seed)
        decay_s = env.unwrapped.simulation.scene.decay_s[1]
        truncated = False
        while not truncated:
            assert info["decayed"].tolist() == [False, False]
            observation, _, terminated, truncated, info = env.step(env.action_space.sample())
            assert observation in env.observation_space
            assert not terminated
        assert info["decayed"].tolist() == [False, True]
        assert info["time_s"] - info["duration_s"] < decay_s <= info["time_s"]
        assert not observation["visible"][1].any()
        assert np.isfinite(observation["position_m"]).all()
    with pytest.raises(ScenarioError, match=r"'FALLING' comes down at .*, before the latest start of an episode"):
        scenarios.load("sentinel", **overrides(elements, decay="end-episode"))


def test_policies_play_up_to_the_decay(elements: str) -> None:
    scenario = scenarios.load("sentinel", **overrides(elements, decay="end-episode", start_within_s=0.0))
    simulation = scenarios.build(scenario)
    state = simulation.reset(0)
    last = False
    while not last:
        state, report = simulation.step(decide(state))
        last = report.last
        assert simulation.finished == last
    assert 1 < state.round < scenario.rounds.episode
    assert len(run_episode(scenario, decide, 0)) - 1 == state.round


def test_windows_end_with_the_decay_and_not_before(elements: str) -> None:
    free = load_elements(elements)
    decay_s = free.decays_s(86_400.0)
    gateways = [site("Svalbard"), site("Troll"), site("Kourou")]
    resting = pickle.loads(pickle.dumps(free.ending(decay_s)))
    scene, open_end = ConstellationScene(resting, gateways), ConstellationScene(free, gateways)
    # SGP4 goes on for a while below 100 km, so that windows can be compared with those that are not cut.
    end_s = decay_s[1] + 3600.0
    ours, theirs = scene.contact_windows(0.0, end_s), open_end.contact_windows(0.0, end_s)
    expected = theirs.until(decay_s)
    np.testing.assert_allclose(ours.rise_s, expected.rise_s, atol=0.02)
    np.testing.assert_allclose(ours.set_s, expected.set_s, atol=0.02)
    for time_s in np.linspace(0.0, decay_s[1] - 1.0, 40):
        cut = np.minimum(open_end.at(time_s).window_s, (decay_s - time_s)[:, None])
        np.testing.assert_allclose(scene.at(time_s).window_s, cut, atol=0.02)
    after = resting.advanced(decay_s[1] + 100 * 3600.0)
    assert (after.decay_s[1], after.decay_s[0]) == (-100 * 3600.0, np.inf)
    radius_m = np.linalg.norm(after.states(np.zeros(1))[0][0, 1])
    assert resting.min_radius_m < 6478.137e3 < radius_m
    assert not ConstellationScene(after, gateways).at(0.0).visible[1].any()


def test_a_forecast_reaches_beyond_decays_after_the_episode(elements: str) -> None:
    short = {"rounds": {"episode": 2}, "observation.horizon_s": 2 * 86_400.0}
    decay_s = load_elements(elements).decays_s(86_400.0)[1]
    for decay in ("refuse", "end-episode", "leave-out"):
        changes = {**overrides(elements, decay=decay, start_within_s=0.0), **short}
        state = scenarios.build(scenarios.load("sentinel", **changes)).reset(0)
        assert state.num_satellites == 2
        begins = state.contact_start_s[1] < 2 * 86_400
        assert begins.any()
        assert (state.contact_end_s[1][begins] <= decay_s).all()
        assert (state.contact_start_s[0, :, 0] < 86_400).all()
