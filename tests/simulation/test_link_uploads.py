"""Uploads whose bits follow each satellite's link: sizes by hand, what arrives, and what adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from satfl_env import Simulation, scenarios
from satfl_env.federated import Progressive, Quantised
from satfl_env.simulation.transfer_bits import LinkUploads, TransferBits
from tests.factories import decide

QUICK = {"training.max_epochs": 2, "rounds.episode": 4, "data.test_samples": 8}
PROGRESSIVE = {"compression.upload": {"kind": "progressive", "min_bits": 2, "max_bits": 12, "window_share": 0.25}}
NUMBERS, RATE_BPS, POWER_W = 1000, 1e6, 2.0


def build(**changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, **changes}))


def number_of(simulation: Simulation) -> int:
    return next(iter(simulation.get_state()["models"]["gateway_models"].values())).numel()


def test_as_many_bits_as_a_share_of_the_contact_carries():
    progressive = Progressive(min_bits=2, max_bits=12, window_share=0.5)
    # Half of 20,128 bits are 10,000 for the numbers, 64 for the grid; then a bit too few, too little and too much.
    room = np.array([20_128.0, 20_127.0, 100.0, 1e9])
    sizes = progressive.fitting_bits(room, NUMBERS)
    assert sizes.tolist() == [10_064.0, 9_064.0, 2_064.0, 12_064.0]
    assert progressive.size_bits(NUMBERS) == 12_064.0


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1e12), st.floats(1e-3, 1.0), st.integers(1, 16), st.integers(0, 15), st.integers(1, 10_000))
def test_an_upload_takes_its_share_and_one_bit_more_would_not(room, share, lowest, more, number):
    progressive = Progressive(min_bits=lowest, max_bits=min(16, lowest + more), window_share=share)
    size = float(progressive.fitting_bits(np.array(room), number))
    bits = (size - 64) / number
    assert progressive.min_bits <= bits <= progressive.max_bits
    assert bits == round(bits)
    assert size <= share * room * (1 + 1e-12) or bits == progressive.min_bits
    assert size + number > share * room * (1 - 1e-12) or bits == progressive.max_bits


def test_each_vector_is_quantised_with_the_bits_of_its_size():
    vectors = torch.randn(4, NUMBERS, generator=torch.Generator().manual_seed(0))
    bits = [1, 3, 8, 12]
    sizes = np.array([64.0 + NUMBERS * each for each in bits])
    of_size = Progressive().of_size(sizes, NUMBERS)
    together = of_size.compress(vectors, torch.Generator().manual_seed(1))
    for row, own in enumerate(bits):
        one = Quantised(bits=own)
        # The draws of a row come after those of the rows before it.
        alone = one.compress(vectors, torch.Generator().manual_seed(1))[row]
        torch.testing.assert_close(together[row], alone)
        torch.testing.assert_close(of_size.variance(vectors)[row], one.variance(vectors)[row])
        assert len(together[row].unique()) <= 2**own


def test_the_bits_of_the_link_stand_for_those_of_the_vector():
    by_link = LinkUploads(Progressive(min_bits=1, max_bits=16, window_share=1.0), 64_000.0, 0.0, NUMBERS)
    # Two bits on the link stand for one of the vector.
    assert by_link.bits(np.array([10_128.0])) == 2 * (5 * NUMBERS + 64)
    assert by_link.sizes(np.array([10_128.0])) == 5 * NUMBERS + 64
    bits = TransferBits(download=64_000.0, upload=32_128.0, by_link=by_link)
    rate_bps, window_s = np.array([100.0, 200.0, 0.0]), np.array([101.28, 101.28, 101.28])
    times = bits.times(rate_bps, np.zeros(3), np.zeros(3), window_s)
    np.testing.assert_allclose(times.upload_s[:2], [101.28, 2 * (10 * NUMBERS + 64) / 200.0])
    np.testing.assert_allclose(times.upload_size * bits.mean, [10_128.0, 20_128.0, 2_128.0])


def test_uploads_fit_their_share_of_the_contact_and_bits_times_and_energies_add_up():
    links = {"kind": "ideal", "rate_bps": RATE_BPS, "transmit_power_w": POWER_W, "model_bits": 100e6}
    upload = {"kind": "progressive", "min_bits": 1, "max_bits": 16, "window_share": 0.1}
    simulation = build(**{"links": links, "compression.upload": upload})
    before = simulation.reset(0)
    decision = decide(before)
    after, report = simulation.step(decision)
    came, number = report.returned, number_of(simulation)
    pair = np.arange(len(came)), np.where(came, decision.association, 0)
    window_s, way_s = before.window_s[pair], before.distance_m[pair] / 299_792_458.0
    room = 0.1 * RATE_BPS * window_s * 32 * number / 100e6
    bits = np.clip(np.floor((room - 64) / number), 1, 16)
    assert len(np.unique(bits[came])) > 1
    expected = np.rint(100e6 * (bits * number + 64) / (32 * number))
    np.testing.assert_array_equal(report.upload_bits, np.where(came, expected, 0.0))
    np.testing.assert_allclose(report.upload_s[came], (expected / RATE_BPS + way_s)[came])
    np.testing.assert_allclose(report.transmit_energy_j, POWER_W * report.upload_s)
    np.testing.assert_allclose(before.link_s[pair][came], (report.download_s + report.upload_s)[came])
    assert after.round == 1


def test_where_all_have_room_for_the_most_bits_it_is_the_plain_quantiser():
    rounds = []
    for upload in ({"kind": "progressive", "min_bits": 1, "max_bits": 4}, {"kind": "quantised", "bits": 4}):
        simulation = build(**{"compression": {"upload": upload, "error_feedback": True}})
        state = simulation.reset(0)
        for _ in range(3):
            state, report = simulation.step(decide(state))
        rounds.append((state, report))
    (one, first), (other, second) = rounds
    np.testing.assert_array_equal(first.upload_bits, second.upload_bits)
    np.testing.assert_array_equal(first.test_loss, second.test_loss)
    np.testing.assert_array_equal(one.update_similarity, other.update_similarity)


@pytest.mark.parametrize("changes", [{}, {"rounds.late": {}}, {"links.positions_at": "upload"}], ids=str)
def test_a_restored_episode_goes_on_alike(changes):
    changes = {**PROGRESSIVE, "compression.error_feedback": True, "links.model_bits": 2e10, **changes}
    simulation = build(**changes)
    state = simulation.reset(0)
    for _ in range(2):
        state, _ = simulation.step(decide(state))
    kept, reports = simulation.get_state(), []
    for each in (simulation, build(**changes)):
        state = each.set_state(kept)
        reports.append(each.step(decide(state))[1])
    np.testing.assert_array_equal(reports[0].upload_bits, reports[1].upload_bits)
    np.testing.assert_array_equal(reports[0].test_loss, reports[1].test_loss)


def test_fewer_bits_at_most_than_at_least_are_refused():
    with pytest.raises(ValueError, match=r"compression\.upload.*min_bits must be at most max_bits, 4, got 8"):
        build(**{"compression.upload": {"kind": "progressive", "min_bits": 8, "max_bits": 4}})
    with pytest.raises(ValueError, match=r"compression\.download"):
        build(**{"compression.download": {"kind": "progressive"}})
