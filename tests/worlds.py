"""Small worlds that several tests play in, and how a twin goes on in them from the middle of an episode."""

from __future__ import annotations

from typing import Any

import numpy as np

from satfl_env.scenarios import Scenario, build
from tests.factories import decide, parts_of

# Two planes that see their gateways for long.
TEN_SATELLITES: dict[str, Any] = {
    "kind": "walker",
    "satellites": 10,
    "planes": 2,
    "altitude_m": 3e6,
    "inclination_deg": 70,
    "epoch": "2026-03-20T00:00:00",
    "gateways": ["Kourou", "Svalbard"],
}
RELAYED: dict[str, Any] = {"constellation": TEN_SATELLITES, "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}}}
# Uploads of a few seconds, so that transmission and shares of the band count.
SLOW = {"links.model_bits": 1e10, "onboard.cycles_per_sample": 1e8}
# Of `walker-earth`, with planes of nine that relay.
EIGHTEEN_SATELLITES: dict[str, Any] = {
    "data.test_samples": 4,
    "data.partition": {"span_s": 7200.0, "max_samples": 20},
    "constellation.satellites": 18,
    "constellation.planes": 2,
    "constellation.phasing": 1,
    "rounds.episode": 4,
}


def assert_a_twin_goes_on_from_the_middle(scenario: Scenario) -> None:
    """Rounds are finite, and those of another simulation from a state of the second on are the same to the bit."""
    simulation, twin = build(scenario), build(scenario)
    state = simulation.reset(3)
    while not simulation.finished:
        assert np.isfinite(state.rate_bps).all()
        if state.round == 2:
            twin.set_state(simulation.get_state())
        if state.round >= 2:
            _, expected = twin.step(decide(twin.state))
        state, report = simulation.step(decide(state))
        assert np.isfinite(report.energy_j).all()
        if state.round > 2:
            np.testing.assert_equal(parts_of(expected), parts_of(report))
            np.testing.assert_equal(parts_of(twin.state), parts_of(state))
