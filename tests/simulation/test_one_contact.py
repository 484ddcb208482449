from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env import NetworkState, Outcome
from satfl_env.simulation.decision import check_decision
from satfl_env.simulation.protocols import Fetched, OneContact, Opening
from tests.factories import make_decision
from tests.factories import make_state as make_any_state

CYCLES, KAPPA, CPU_MAX = 1e8, 5e-27, 1e9
NOTHING = Fetched(np.array(np.nan), np.array(0), np.array(0.0))


def make_state(num_satellites: int = 4, **changes: object) -> NetworkState:
    return make_any_state(num_satellites, max_epochs=np.full(num_satellites, 1000), **changes)


def play(state, decision, transfer_s=0.05, limit_s=np.inf):
    transfer_s = np.broadcast_to(transfer_s, state.num_satellites)
    stored_j = np.array(np.inf)
    return OneContact().participate(
        Opening(state, decision, transfer_s, transfer_s, NOTHING, 10.0, 0.0, limit_s, stored_j, 0.0, None, 0.0)
    )


def test_every_reason_for_losing_an_update():
    visible = np.ones((5, 2), dtype=bool)
    visible[1, 0] = False
    window = np.full((5, 2), 400.0)
    window[2, 0] = 10.0
    energy = np.array([100.0, 100.0, 100.0, 0.5, 100.0])
    state = make_state(5, visible=visible, window_s=np.where(visible, window, 0.0), energy_j=energy)
    part = play(state, make_decision([0, 0, 0, 0, 2]))
    assert part.outcome.tolist() == [
        Outcome.RETURNED,
        Outcome.NOT_VISIBLE,
        Outcome.OUT_OF_TIME,
        Outcome.OUT_OF_ENERGY,
        Outcome.SAT_OUT,
    ]
    idle = ~part.trains
    for name in ("epochs", "download_s", "compute_s", "upload_s", "compute_energy_j", "transmit_energy_j"):
        assert not getattr(part, name)[idle].any(), name


def test_nothing_to_spend_is_no_matter_of_time():
    state = make_state(3, energy_j=np.array([0.0, 0.0, 100.0]))
    part = play(state, make_decision([0, 0, 0], cpu_frequency=np.array([0.0, 3e8, 0.0])))
    assert part.outcome.tolist() == [Outcome.OUT_OF_ENERGY, Outcome.OUT_OF_ENERGY, Outcome.OUT_OF_TIME]


def test_costs_are_those_of_the_equations():
    part = play(make_state(1), make_decision([0], cpu_frequency=np.array([2e8])))
    epoch_s, epoch_j = CYCLES * 100 / 2e8, KAPPA * CYCLES * 100 * 2e8**2
    assert part.epochs[0] == min((400.0 - 0.1) // epoch_s, 100.0 // epoch_j)
    assert part.compute_s[0] == pytest.approx(part.epochs[0] * epoch_s)
    assert part.compute_energy_j[0] == pytest.approx(part.epochs[0] * epoch_j)
    assert part.transmit_energy_j[0] == pytest.approx(0.5)
    assert part.busy_s[0] == pytest.approx(part.compute_s[0] + 0.1)


@settings(max_examples=200, deadline=None)
@given(
    window_s=st.floats(0, 1000),
    transfer_s=st.floats(0, 100),
    samples=st.integers(1, 500),
    energy_j=st.floats(0, 300),
    cpu_hz=st.floats(0, CPU_MAX),
    max_epochs=st.integers(1, 50),
)
def test_no_more_epochs_than_fit_and_no_fewer(window_s, transfer_s, samples, energy_j, cpu_hz, max_epochs):
    state = make_any_state(
        1,
        window_s=np.full((1, 2), window_s),
        samples=np.array([samples]),
        energy_j=np.array([energy_j]),
        max_epochs=np.array([max_epochs]),
    )
    part = play(state, make_decision([0], cpu_frequency=np.array([cpu_hz])), transfer_s)
    tolerance = 1 + 1e-6
    assert part.busy_s[0] <= window_s * tolerance
    assert part.compute_energy_j[0] <= energy_j * tolerance
    one_more = int(part.epochs[0]) + 1
    fits_time = cpu_hz > 0 and 2 * transfer_s + one_more * CYCLES * samples / max(cpu_hz, 1e-300) < window_s
    fits_energy = one_more * KAPPA * CYCLES * samples * cpu_hz**2 < energy_j
    # Frequencies whose square underflows cost no energy at all; nothing real runs there.
    if cpu_hz > 1e-3:
        assert part.epochs[0] == max_epochs or not (fits_time and fits_energy)


def test_a_fixed_cadence_limits_everyone():
    free = play(make_state(1), make_decision([0]))
    bound = play(make_state(1), make_decision([0]), limit_s=100.0)
    assert bound.busy_s[0] <= 100.0 < free.busy_s[0]


def test_without_a_link_nothing_returns():
    part = play(make_state(2), make_decision([0, 0]), np.array([0.1, np.inf]))
    assert part.outcome.tolist() == [Outcome.RETURNED, Outcome.OUT_OF_TIME]
    assert np.isfinite(part.busy_s).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"association": np.array([0, 3])}, r"association must lie in 0..2 \(.*\), got 3 for satellite 1$"),
        ({"association": np.array([0.0, 1.0])}, "integers"),
        ({"association": np.array([0])}, r"shape \(2,\), got \(1,\)"),
        ({"cluster": np.array([0, 2])}, r"decision.cluster must lie in 0..1 \(.*\), got 2 for satellite 1$"),
        ({"weights": np.array([1.0, np.nan])}, "decision.weights must be finite, got nan for satellite 1$"),
        ({"weights": np.array([1.0, -1.0])}, "decision.weights must not be negative, got -1 for satellite 1$"),
        ({"gateway_weights": np.array([-1.0, 1.0])}, "gateway_weights must not be negative, got -1 for gateway 0$"),
        ({"gateway_weights": np.ones(3)}, r"decision.gateway_weights must be an array of shape \(2,\)"),
        ({"cpu_frequency": np.array([1.0, 2e9])}, r"must lie in 0..cpu_max_hz = .*, got 2e\+09 for satellite 1$"),
    ],
)
def test_decisions_that_do_not_fit_are_named(changes, words):
    decision = replace(make_decision([0, 1]), **changes)
    with pytest.raises(ValueError, match=words):
        check_decision(decision, make_state(2))
