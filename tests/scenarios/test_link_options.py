"""Options of the radio links in whole scenarios: alone, and with the rounds that they can meet."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import pytest

import satfl_env  # noqa: F401
from satfl_env import scenarios
from satfl_env.links import atmosphere
from satfl_env.scenarios import ScenarioError
from tests.combinations import pretended_itur
from tests.factories import decide
from tests.worlds import EIGHTEEN_SATELLITES, assert_a_twin_goes_on_from_the_middle

SMALL = {"training.engine": "none", **EIGHTEEN_SATELLITES}
ANTENNAS = {
    "links.array_efficiency": 0.8,
    "links.array_shape": [32, 32],
    "links.scan_exponent": 1.2,
    "links.satellite_pattern": "nadir",
    "links.satellite_gain_dbi": 6.0,
}
SKY = {**ANTENNAS, "links.atmosphere": {"exceedance_percent": 0.1, "cloud": True, "rain": True}}
FLEET = [{"name": "small", "count": 9, "satellite_gain_dbi": 3.0}, {"name": "big", "transmit_power_w": 20.0}]
# On the ground, on a platform and in space.
GATEWAYS = [
    "Kourou",
    {"name": "Alps", "latitude_deg": 46, "longitude_deg": 9, "altitude_m": 20e3, "min_elevation_deg": -4},
    {"kind": "geo", "name": "Relay", "longitude_deg": 9},
]


@pytest.fixture(autouse=True)
def without_itur(monkeypatch) -> Iterator[None]:
    with pretended_itur(monkeypatch):
        yield


@pytest.mark.parametrize("options", [ANTENNAS, SKY])
@pytest.mark.parametrize(
    "rounds",
    [
        {},
        {"rounds.late": {"buffer": 2}, "fleet": FLEET},
        {"rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e8}}, "constellation.gateways": GATEWAYS},
    ],
)
def test_rounds_go_on_from_a_state_in_the_middle(options: dict, rounds: dict) -> None:
    assert_a_twin_goes_on_from_the_middle(scenarios.load("walker-earth", **SMALL, **options, **rounds))


def test_a_relayed_pair_has_the_rate_of_its_relay() -> None:
    direct, relayed = (
        scenarios.build(scenarios.load("walker-earth", **SMALL, **SKY, **rounds))
        for rounds in ({}, {"rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}}})
    )
    own_bps, rate_bps = direct.reset(0).rate_bps, relayed.reset(0).rate_bps
    sender = relayed._view.contacts.sender
    assert (sender != np.arange(18)[:, None]).any()
    np.testing.assert_array_equal(rate_bps, own_bps[sender, np.arange(own_bps.shape[1])])


def test_one_environment_and_a_vector_play_the_same_rounds() -> None:
    scenario = scenarios.load("walker-earth", **SMALL, **SKY)
    single = gym.make("SatFL-v0", scenario=scenario)
    vector = gym.make_vec("SatFL-v0", num_envs=2, vectorization_mode="vector_entry_point", scenario=scenario)
    observation, _ = single.reset(seed=5)
    observations, _ = vector.reset(seed=[4, 5])
    np.testing.assert_array_equal(observations["rate_bps"][1], observation["rate_bps"])
    assert single.observation_space.contains(observation)
    vector.close()


def test_options_lower_the_rates() -> None:
    plain, optional = (
        scenarios.build(scenarios.load("walker-earth", **SMALL, **options)).reset(0).rate_bps
        for options in ({"links.satellite_gain_dbi": 6.0}, SKY)
    )
    assert (optional < plain).all()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"links.atmosphere": {}}, r"links\.atmosphere needs a constellation on the globe, got kind 'planar'"),
        ({"links.atmosphere": {"rein": True}}, r"links\.atmosphere\.rein: unknown key, did you mean 'rain'"),
        ({"links.atmosphere": {"exceedance_percent": 0}}, r"links\.atmosphere\.exceedance_percent: .* got 0"),
        ({"links.satellite_pattern": "down"}, r"links\.satellite_pattern: .* got 'down'"),
        ({"links.array_efficiency": 1.5}, r"links\.array_efficiency: .* got 1\.5"),
    ],
)
def test_bad_options_are_named_with_what_is_allowed(overrides: dict, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenarios.load("leo-multitask", **overrides)


def test_without_itur_the_message_names_the_extra(monkeypatch) -> None:
    monkeypatch.setattr(atmosphere, "find_spec", lambda name: None)
    with pytest.raises(ScenarioError, match=r"links\.atmosphere needs the package itur, .* '\.\[links\]'"):
        scenarios.load("walker-earth", **{"links.atmosphere": {}})


def test_storm_plays_without_itur(monkeypatch) -> None:
    monkeypatch.setattr(atmosphere, "find_spec", lambda name: None)
    monkeypatch.setattr(atmosphere, "slant_path_loss_db", None)
    simulation = scenarios.build("storm")
    state, lost = simulation.reset(0), 0
    for _ in range(10):
        state, report = simulation.step(decide(state))
        lost += report.lost.sum()
    in_sight_bps = state.rate_bps[state.visible]
    assert np.isfinite(report.test_loss).all()
    assert lost
    assert in_sight_bps.max() > 1e3 * in_sight_bps.min()
    with pytest.raises(ScenarioError, match=r"links\.atmosphere needs the package itur"):
        scenarios.load("storm", **{"links.carrier_hz": 21e9})
