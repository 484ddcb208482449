"""Energy in, out and stored, over whole rounds: what batteries and links allow under every protocol."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_baselines import make_policy
from satfl_baselines.epochs import predicted_epochs
from satfl_env import Decision, NetworkState, Outcome, RoundReport, Simulation, optimal_frequency_hz, scenarios
from satfl_env.onboard import Battery, EnergyDraws
from satfl_env.simulation.protocols import Fetched, OneContact, Opening, Participation
from tests.factories import make_decision, make_state, physics_only

ROUNDS = 8
NOTHING = Fetched(np.array(np.nan), np.array(0), np.array(0.0))
GLOBE: dict[str, Any] = {
    "kind": "walker",
    "satellites": 12,
    "planes": 2,
    "phasing": 1,
    "altitude_m": 3e6,
    "inclination_deg": 70,
    "epoch": "2026-03-20T00:00:00",
    "gateways": [{"name": "west", "latitude_deg": 0, "longitude_deg": 0}, "Svalbard"],
}
PROTOCOLS: dict[str, dict[str, Any]] = {
    "one-contact": {},
    "late": {"rounds.late": {"buffer": 2}},
    "relays": {"constellation": GLOBE, "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}}},
}
# Uploads of minutes: transmission takes far more than training.
SLOW = {"links": {"model_bits": 2e11}, "onboard.cycles_per_sample": 1e6}
SMALL = {"kind": "battery", "capacity_j": 2000.0, "initial_j": 1500.0, "harvest_w": 1.0, "standing_w": 1.5}


class Leaky:
    """A part of somebody's own, with the four members that are needed: nine tenths of the charge stay."""

    highest_j = 1500.0

    def first_charge_j(self, num_satellites):
        return np.full(num_satellites, self.highest_j)

    def available_j(self, charge_j, rng):
        return charge_j / 2

    def charge_after_j(self, charge_j, *, spent_j, sunlit_s, duration_s):
        return np.clip(0.9 * (charge_j - spent_j) + sunlit_s, 0.0, self.highest_j)


def build(protocol: str = "one-contact", energy: dict[str, Any] | None = None, **changes: Any) -> Simulation:
    energy = SMALL if energy is None else energy
    settings = {**PROTOCOLS[protocol], **SLOW, "onboard.energy": energy, **changes}
    return scenarios.build(physics_only(ROUNDS, **settings))


def random_decision(state: NetworkState, rng: np.random.Generator) -> Decision:
    """Gateways in sight at random, frequencies from those of weeks to those of minutes."""
    chance = np.where(state.visible, rng.random(state.visible.shape), -1.0)
    frequency = state.cpu_max_hz * 10 ** -rng.uniform(0, 3, state.num_satellites)
    return make_decision(chance.argmax(axis=1), state.num_gateways, cpu_frequency=frequency)


def play(simulation: Simulation, seed: int = 0) -> list[tuple[NetworkState, RoundReport]]:
    state, rng, played = simulation.reset(seed), np.random.default_rng(seed), []
    while not simulation.finished:
        before = state
        state, report = simulation.step(random_decision(state, rng))
        played.append((before, report))
    return played


def assert_balanced(report: RoundReport) -> None:
    flows = report.harvested_j - report.energy_j - report.standing_j - report.spilled_j
    np.testing.assert_allclose(report.charge_j, report.charge_before_j + flows, atol=1e-6, rtol=1e-12)
    for name in ("charge_j", "harvested_j", "standing_j", "spilled_j", "compute_energy_j", "transmit_energy_j"):
        assert (getattr(report, name) >= 0).all(), name


@settings(max_examples=200, deadline=None)
@given(
    charge=st.floats(0, 1),
    spent=st.floats(0, 1),
    standing_w=st.floats(0, 1e3),
    harvest_w=st.floats(0, 1e3),
    sunlit=st.floats(0, 1),
    duration_s=st.floats(1, 1e5),
    capacity_j=st.floats(1, 1e7),
)
def test_a_battery_makes_and_loses_nothing(charge, spent, standing_w, harvest_w, sunlit, duration_s, capacity_j):
    battery = Battery(capacity_j=capacity_j, initial_j=0.0, standing_w=standing_w, harvest_w=harvest_w)
    before, spent_j = np.array([charge * capacity_j]), np.array([spent * charge * capacity_j])
    lit_s = np.array([sunlit * duration_s])
    balance = battery.balance(before, spent_j=spent_j, sunlit_s=lit_s, duration_s=duration_s)
    flows = balance.harvested_j - spent_j - balance.standing_j - balance.spilled_j
    np.testing.assert_allclose(
        balance.charge_j, before + flows, rtol=1e-12, atol=1e-9 * (capacity_j + harvest_w * duration_s)
    )
    assert all((flow >= 0).all() for flow in balance)
    assert balance.charge_j[0] <= capacity_j
    assert balance.standing_j[0] <= standing_w * duration_s
    if balance.charge_j[0] > 1e-6 * (capacity_j + harvest_w * duration_s):
        assert balance.standing_j[0] == pytest.approx(standing_w * duration_s)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("energy", [SMALL, {**SMALL, "counts_transmission": False}, {"kind": "draws"}])
def test_energy_in_out_and_stored_balances_in_every_round(protocol, energy):
    simulation = build(protocol, energy)
    reports = [report for _, report in play(simulation)]
    for one, other in pairwise(reports):
        assert_balanced(one)
        np.testing.assert_array_equal(one.charge_j, other.charge_before_j)
    np.testing.assert_array_equal(simulation.charge_j, reports[-1].charge_j)
    assert sum(report.energy_j.sum() for report in reports) > 0


def test_energy_of_ones_own_balances_without_saying_more():
    simulation = scenarios.build(physics_only(ROUNDS), parts={"energy": Leaky()})
    reports = [report for _, report in play(simulation)]
    for report in reports:
        assert_balanced(report)
        assert not (report.outcome == Outcome.BROWNED_OUT).any()
    assert any(report.standing_j.any() for report in reports)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_battery_browns_out_until_the_sun_has_filled_it(protocol):
    empty = {**SMALL, "initial_j": 0.0, "harvest_w": 500.0, "standing_w": 0.5}
    (before, first), *_, (_, last) = play(build(protocol, empty, links={"model_bits": 1e8}))
    browned_out = first.outcome == Outcome.BROWNED_OUT
    np.testing.assert_array_equal(browned_out, before.visible.any(axis=1))
    assert first.lost[browned_out].all()
    assert not first.energy_j.any()
    assert not first.upload_s.any()
    assert first.charge_j.any()
    assert not (last.outcome == Outcome.BROWNED_OUT)[last.charge_before_j > 100.0].any()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_standing_power_alone_empties_a_battery_once(protocol):
    """Every joule that goes was there: the standing load stops with the charge."""
    dying = {**SMALL, "harvest_w": 0.0, "standing_w": 5.0}
    reports = [report for _, report in play(build(protocol, dying))]
    drawn_j = sum(report.standing_j + report.energy_j for report in reports)
    np.testing.assert_allclose(drawn_j + reports[-1].charge_j, SMALL["initial_j"])
    assert (reports[-1].charge_j == 0).any()


def participate(stored_j: float, standing_w: float, transfer_s: float, cpu_hz: float = 5e8) -> Participation:
    state = make_state(1, energy_j=np.array([1e9]), max_epochs=np.array([1000]))
    decision = make_decision([0], cpu_frequency=np.array([cpu_hz]))
    one_way_s = np.array([transfer_s])
    opening = Opening(
        state, decision, one_way_s, one_way_s, NOTHING, 10.0, 0.0, np.inf, np.array([stored_j]), standing_w, None, 0.0
    )
    return OneContact().participate(opening)


def test_epochs_end_where_the_battery_does():
    """An epoch takes 20 s and 12.5 J at 500 MHz; two transfers of 3 s, 30 J and the standing power beside both."""
    for stored_j, epochs in ((36.1, 0), (36 + 32.4, 0), (36 + 32.6, 1), (36 + 5 * 32.5 + 1, 5)):
        part = participate(stored_j, standing_w=1.0, transfer_s=3.0)
        assert part.epochs[0] == epochs
        assert part.outcome[0] == (Outcome.RETURNED if epochs else Outcome.OUT_OF_ENERGY)
    assert participate(36.0, 1.0, 3.0).outcome[0] == Outcome.BROWNED_OUT
    assert participate(0.0, 0.0, 3.0, cpu_hz=0.0).outcome[0] == Outcome.BROWNED_OUT
    assert participate(np.inf, 0.0, 3.0).epochs[0] == (400 - 6) // 20


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_spends_more_than_the_budget_where_transmission_counts(protocol):
    over = {True: 0, False: 0}
    for counts in over:
        draws = {"kind": "draws", "mean_j": 2000.0, "std_j": 500.0, "counts_transmission": counts}
        for energy in (draws, {**SMALL, "counts_transmission": counts, "depth_of_discharge": 0.5}):
            for state, report in play(build(protocol, energy)):
                assert (state.transmit_power_w == 10.0 * counts).all()
                over[counts] += int((report.energy_j > state.energy_j * (1 + 1e-9)).sum())
                assert counts or (report.compute_energy_j <= state.energy_j * (1 + 1e-9)).all()
    assert over[True] == 0
    assert over[False] > 0


def test_transmission_counts_for_batteries_and_not_in_the_papers():
    assert Battery(capacity_j=1.0, initial_j=1.0).counts_transmission
    assert not EnergyDraws().counts_transmission
    for name in ("walker-earth", "sentinel", "stratosphere", "storm", "starlink-shell", "mega-shell"):
        assert scenarios.load(name).onboard.energy.counts_transmission
    for name in ("leo-multitask", "semspacefl", "semspacefl-mini", "task-clustering"):
        assert not scenarios.load(name).onboard.energy.counts_transmission


def test_reference_frequencies_and_epochs_leave_energy_for_the_upload():
    state = make_state(2, link_s=np.full((2, 2), 4.0), transmit_power_w=np.array([0.0, 10.0]))
    decision = make_policy("proposed-fedavg")(state)
    for satellite, training_j in enumerate((100.0, 80.0)):
        expected = optimal_frequency_hz(
            np.array([training_j]), np.array([400.0]), np.array([4.0]), cpu_max_hz=1e9, kappa=5e-27
        )
        assert decision.cpu_frequency[satellite] == pytest.approx(expected[0])


@pytest.mark.parametrize("counts", [False, True])
def test_a_lone_satellite_trains_as_many_epochs_as_the_policy_expects(counts):
    draws = {"kind": "draws", "mean_j": 3000.0, "std_j": 0.0, "counts_transmission": counts}
    simulation = build(energy=draws, **{"training.max_epochs": 10**6})
    state, policy = simulation.reset(0), make_policy("proposed-fedavg")
    decision = policy(state)
    lone = np.flatnonzero(decision.associated)[0]
    association = np.where(np.arange(state.num_satellites) == lone, decision.association, state.sits_out)
    _, report = simulation.step(make_decision(association, state.num_gateways, cpu_frequency=decision.cpu_frequency))
    assert report.epochs[lone] == predicted_epochs(state, association, decision.cpu_frequency)[lone] > 0
