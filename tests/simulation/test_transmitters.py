from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env import Decision, NetworkState, Outcome, Simulation, scenarios
from satfl_env.links import RadioLinks
from satfl_env.simulation.protocols import Fetched, OneContact, Opening, Participation, Transfers, settle
from tests.factories import make_decision, make_state, physics_only

ALONE_S = 10.0
ENOUGH_HZ, TOO_SLOW_HZ, TOO_HUNGRY_HZ = 5e8, 1e4, 1e9
IN_SIGHT_OF_ALL = {
    "links.model_bits": 2e9,
    "onboard.cycles_per_sample": 1e7,
    "onboard.energy.mean_j": 10.0,
    "onboard.energy.std_j": 1.0,
}
RELAYED = {
    "data.test_samples": 4,
    "data.partition": {"span_s": 7200.0, "max_samples": 20},
    "constellation.satellites": 27,
    "constellation.planes": 3,
    "constellation.phasing": 1,
    "rounds.relay": {"isl": {"kind": "fixed", "rate_bps": 1e9}},
    "links.model_bits": 1e10,
}


def share_out(state: NetworkState, decision: Decision) -> tuple[Participation, int]:
    """A round in which n who transmit take n times as long as one alone, and the passes that it took."""
    passes: list[int] = []

    def transfers(transmits: np.ndarray) -> Transfers:
        passes.append(transmits.sum())
        one_way_s = np.where(transmits, ALONE_S * transmits.sum(), np.inf)
        return Transfers(one_way_s, one_way_s)

    alone_s = np.full(state.num_satellites, ALONE_S)
    nothing = Fetched(np.array(np.nan), np.array(0), np.array(0.0))
    part, _ = settle(
        OneContact(),
        Opening(state, decision, alone_s, alone_s, nothing, 10.0, 0.0, np.inf, np.array(np.inf), 0.0, None, 0.0),
        transfers,
        lambda asks: asks,
    )
    return part, len(passes)


def test_whoever_does_not_fit_beside_the_others_leaves_them_the_band():
    """With three, 60 s are too much for the third; the fourth could not even pay an epoch alone."""
    state = make_state(
        4, window_s=np.tile([[400.0], [400.0], [55.0], [400.0]], 2), energy_j=np.array([100.0, 100.0, 100.0, 1e-3])
    )
    part, passes = share_out(state, make_decision([0, 0, 0, 0], cpu_frequency=np.full(4, 1e9)))
    assert part.outcome.tolist() == [0, 0, Outcome.OUT_OF_TIME, Outcome.OUT_OF_ENERGY]
    assert part.upload_s.tolist() == [2 * ALONE_S, 2 * ALONE_S, 0.0, 0.0]
    assert passes == 2


@settings(max_examples=100, deadline=None)
@given(
    window_s=st.lists(st.floats(0, 200), min_size=1, max_size=6),
    energy_j=st.lists(st.sampled_from([0.0, 1.0, 100.0]), min_size=6, max_size=6),
)
def test_those_who_are_left_fit_together_and_take_as_long_as_without_the_others(window_s, energy_j):
    count = len(window_s)
    state = make_state(count, window_s=np.tile(np.array(window_s)[:, None], 2), energy_j=np.array(energy_j[:count]))
    decision = make_decision([0] * count, cpu_frequency=np.full(count, 1e9))
    part, passes = share_out(state, decision)
    left = int(part.trains.sum())
    assert passes <= count + 1
    assert (part.upload_s == np.where(part.trains, left * ALONE_S, 0.0)).all()
    assert (state.window_s[part.trains, 0] >= 2 * left * ALONE_S).all()
    among_them = make_decision(np.where(part.trains, 0, 2), cpu_frequency=decision.cpu_frequency)
    np.testing.assert_array_equal(share_out(state, among_them)[0].epochs, part.epochs)


@pytest.mark.parametrize(
    ("cpu_hz", "reason"), [(TOO_SLOW_HZ, Outcome.OUT_OF_TIME), (TOO_HUNGRY_HZ, Outcome.OUT_OF_ENERGY)]
)
def test_beside_satellites_that_cannot_train_an_upload_takes_what_it_takes_alone(cpu_hz, reason):
    simulation = scenarios.build(physics_only(1, **IN_SIGHT_OF_ALL, **{"onboard.kappa": 1e-25}))
    state = simulation.reset(0)
    gateway = int(state.visible.sum(axis=0).argmax())
    seen = np.flatnonzero(state.visible[:, gateway])
    assert len(seen) >= 3
    frequency = np.full(state.num_satellites, cpu_hz)
    frequency[seen[0]] = 1e8
    decision = make_decision(
        np.where(state.visible[:, gateway], gateway, state.sits_out), state.num_gateways, cpu_frequency=frequency
    )
    _, report = simulation.step(decision)
    assert (report.outcome[seen[1:]] == reason).all()
    alone_s = state.link_s[seen[0], gateway] / 2
    assert report.upload_s[seen[0]] == pytest.approx(alone_s, rel=1e-9)
    assert report.download_s[seen[0]] == report.upload_s[seen[0]]


def test_links_are_asked_with_the_snapshot_itself_where_each_satellite_sends_for_itself():
    seen = []

    class Watched(RadioLinks):
        def associated_rate_bps(self, snapshot, association, share=None):
            seen.append(snapshot)
            return super().associated_rate_bps(snapshot, association, share)

    simulation = scenarios.build(physics_only(2, **IN_SIGHT_OF_ALL), parts={"links": Watched()})
    state = simulation.reset(0)
    before = simulation.snapshot
    seen.clear()
    simulation.step(random_decision(state, np.random.default_rng(0)))
    assert seen
    assert all(snapshot is before for snapshot in seen)


def one_contact() -> Simulation:
    return scenarios.build(physics_only(8, **IN_SIGHT_OF_ALL))


def late() -> Simulation:
    return scenarios.build(physics_only(8, **IN_SIGHT_OF_ALL, **{"rounds.late": {"buffer": 2}}))


def relayed() -> Simulation:
    return scenarios.build(scenarios.load("walker-earth", **RELAYED, **{"training.engine": "none"}))


def pooled() -> Simulation:
    on_board = {"rounds.relay": {"combine_on_board": True, "isl": {"kind": "fixed", "transmit_power_w": 2.0}}}
    return scenarios.build(scenarios.load("walker-earth", **{**RELAYED, "training.engine": "none", **on_board}))


@pytest.mark.parametrize("build", [one_contact, late, relayed, pooled])
def test_no_satellite_that_stays_out_changes_the_round_of_another(build: Callable[[], Simulation]) -> None:
    simulation, rng, dropped = build(), np.random.default_rng(0), 0
    state = simulation.reset(1)
    for _ in range(8):
        decision = random_decision(state, rng)
        twin: Any = copy.deepcopy(simulation)
        state, report = simulation.step(decision)
        takes_part = report.returned | (report.outcome == Outcome.FETCHED)
        only_they = replace(decision, association=np.where(takes_part, decision.association, state.sits_out))
        _, expected = twin.step(only_they)
        dropped += int((decision.associated & ~takes_part & (report.outcome != Outcome.NOT_VISIBLE)).sum())
        for name in ("download_s", "upload_s", "compute_s", "epochs", "transmit_energy_j"):
            np.testing.assert_array_equal(getattr(report, name), getattr(expected, name), err_msg=name)
        np.testing.assert_array_equal(report.outcome[takes_part], expected.outcome[takes_part])
    assert dropped


def random_decision(state: NetworkState, rng: np.random.Generator) -> Decision:
    """Gateways in sight at random, CPU frequencies from far too low to the highest."""
    chance = np.where(state.visible, rng.random(state.visible.shape), -1.0)
    frequency = state.cpu_max_hz * rng.choice([1e-5, 0.2, 1.0], state.num_satellites)
    return make_decision(chance.argmax(axis=1), state.num_gateways, cpu_frequency=frequency)
