"""Scenarios in which it pays to plan: what is spent now is missing later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from satfl_baselines import make_policy
from satfl_env import Decision, NetworkState, Outcome, scenarios

PHYSICS_ONLY = {"training.engine": "none"}

full = make_policy("full")


def a_quarter(state: NetworkState) -> Decision:
    """As `full`, but no round may spend more than a quarter of the charge."""
    return full(replace(state, energy_j=state.energy_j / 4))


def played(name: str, policy: Callable[[NetworkState], Decision], seed: int) -> tuple[int, float]:
    """Updates that come back in an episode, and the share of the first charge that the first round leaves."""
    simulation = scenarios.build(scenarios.load(name, **PHYSICS_ONLY))
    state, returned, left = simulation.reset(seed), 0, []
    while not simulation.finished:
        state, report = simulation.step(policy(state))
        returned += np.count_nonzero(report.returned)
        left.append(float(report.charge_j.sum() / report.charge_before_j.sum()))
    return returned, left[0]


def test_leo_battery_is_leo_multitask_with_a_charge_that_has_to_last():
    battery, draws = (scenarios.load(name) for name in ("leo-battery", "leo-multitask"))
    same = {"name": battery.name, "description": battery.description, "onboard": battery.onboard}
    assert draws.model_copy(update=same) == battery
    assert replace(battery.onboard, energy=draws.onboard.energy) == draws.onboard


def test_on_leo_battery_a_greedy_rule_spends_all_at_once_and_loses_updates():
    for seed in range(3):
        (greedy, left_by_greedy), (thrifty, left_by_thrifty) = (
            played("leo-battery", policy, seed) for policy in (full, a_quarter)
        )
        assert left_by_greedy < 0.5 < left_by_thrifty
        assert greedy < thrifty


@pytest.mark.parametrize("name", ["earth", "earth-held-out"])
def test_on_earth_the_battery_binds_now_and_then(name):
    simulation = scenarios.build(scenarios.load(name, **PHYSICS_ONLY))
    state, outcomes = simulation.reset(0), []
    while not simulation.finished:
        state, report = simulation.step(full(state))
        outcomes.extend(report.outcome)
    without_energy, returned = (outcomes.count(it) for it in (Outcome.OUT_OF_ENERGY, Outcome.RETURNED))
    assert 0 < without_energy < returned
