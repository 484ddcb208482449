"""Fetching and returning a model may differ in bits, and so in time and energy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from satfl_env import Outcome
from satfl_env.links import link_time_s
from satfl_env.simulation.protocols import Fetched, LateUpdates, OneContact, Opening, Transfers
from satfl_env.simulation.transfer_bits import TransferBits
from tests.factories import make_decision, make_state

RATE_BPS, DISTANCE_M, WINDOW_S = np.array([1e6, 2e6, 0.0]), np.array([3e8, 6e8, 3e8]), np.full(3, 100.0)


def test_each_way_takes_as_long_as_its_bits():
    bits, nothing = TransferBits(download=8e6, upload=2e6), np.zeros(3)
    times = bits.times(RATE_BPS, DISTANCE_M, nothing, WINDOW_S)
    np.testing.assert_allclose(times.download_s, [9.0, 6.0, np.inf], rtol=1e-3)
    np.testing.assert_allclose(times.upload_s, [3.0, 3.0, np.inf], rtol=1e-3)


def test_both_ways_together_take_what_two_models_of_mean_size_take():
    bits, carry_s = TransferBits(download=8e6, upload=2e6), np.array([1.0, 2.0, 3.0])
    times = bits.times(RATE_BPS, DISTANCE_M, carry_s, WINDOW_S)
    both_s = 2 * (link_time_s(5e6, RATE_BPS, DISTANCE_M) + carry_s)
    np.testing.assert_allclose(times.download_s + times.upload_s, both_s)
    # What other satellites carry goes by the bits, too.
    alone = bits.times(RATE_BPS, DISTANCE_M, np.zeros(3), WINDOW_S)
    np.testing.assert_allclose(times.download_s[:2] - alone.download_s[:2], [1.6, 3.2])
    np.testing.assert_allclose(times.upload_s[:2] - alone.upload_s[:2], [0.4, 0.8])


def opening(**changes) -> Opening:
    """Fetching takes 30 s, returning 10 s; an epoch 20 s and 12.5 J at 500 MHz; 10 W while sending."""
    given = {
        "state": make_state(1, energy_j=np.array([150.0])),
        "decision": make_decision([0], cpu_frequency=np.array([5e8])),
        "download_s": np.array([30.0]),
        "upload_s": np.array([10.0]),
        "fetched": Fetched(np.array([300.0]), np.array([0]), np.array([5e8])),
        "transmit_power_w": 10.0,
        "counts_transmission": True,
        "limit_s": np.inf,
        "stored_j": np.array([np.inf]),
        "standing_w": 0.0,
        "contacts": None,
        "upload_size": 0.0,
    }
    return Opening(**{**given, **changes})


def test_a_round_with_other_transfer_times_keeps_what_does_not_depend_on_them_and_no_more():
    before = opening()
    window_s, epoch = before.window_s, before.epoch
    after = before.with_transfers(Transfers(np.array([60.0]), np.array([20.0])))
    assert after.window_s is window_s
    assert after.epoch is epoch
    assert (before.download_s[0], after.download_s[0], after.upload_s[0]) == (30.0, 60.0, 20.0)
    fresh = opening(download_s=np.array([60.0]), upload_s=np.array([20.0]))
    assert OneContact().participate(after).epochs == OneContact().participate(fresh).epochs
    sits_out = make_decision([2], cpu_frequency=np.array([2.5e8]))
    other = replace(before, decision=sits_out)
    assert (before.window_s[0], other.window_s[0]) == (window_s[0], 0.0)
    assert other.epoch.time_s[0] == 2 * epoch.time_s[0]


@pytest.mark.parametrize("protocol", [OneContact(), LateUpdates()])
def test_only_the_upload_takes_transmit_energy(protocol):
    part = protocol.participate(opening())
    assert (part.download_s[0], part.upload_s[0], part.transmit_energy_j[0]) == (30.0, 10.0, 100.0)
    # 50 J are left: four epochs of 12.5 J.
    assert part.epochs[0] == 4
    assert protocol.participate(opening(state=make_state(1, energy_j=np.array([112.4])))).outcome[0] == (
        Outcome.OUT_OF_ENERGY
    )


def test_both_ways_have_to_fit_the_window():
    for window_s, epochs in ((59.0, 0), (61.0, 1), (101.0, 3)):
        state = make_state(1, window_s=np.full((1, 2), window_s), energy_j=np.array([1e9]))
        assert OneContact().participate(opening(state=state)).epochs[0] == epochs


@pytest.mark.parametrize("protocol", [OneContact(), LateUpdates()])
def test_a_battery_carries_the_sending_and_the_standing_power_of_both_ways(protocol):
    for stored_j, browned_out in ((140.0, True), (140.1, False)):
        part = protocol.participate(opening(stored_j=np.array([stored_j]), standing_w=1.0))
        assert bool(part.outcome[0] == Outcome.BROWNED_OUT) is browned_out
