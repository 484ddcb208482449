from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine

from satfl_env import Decision, NetworkState, Outcome, Simulation, scenarios
from satfl_env.simulation.update_similarity import UpdateSimilarity, update_cosines
from satfl_env.simulation.uploads import noisy_updates
from tests.factories import make_decision


def build(**overrides: object) -> Simulation:
    return scenarios.build(scenarios.load("task-clustering-mini", **overrides))


def decide(state: NetworkState, cluster: list[int], **changes: object) -> Decision:
    fast = {"cpu_frequency": state.cpu_max_hz, "cluster": np.array(cluster)}
    return make_decision(np.zeros(3, dtype=np.int64), 1, **{**fast, **changes})


def test_cosines_are_those_of_scipy_and_bounded():
    updates = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    updates[1] = 3 * updates[0]
    updates[2] = -updates[0]
    updates[3] = 0
    got = update_cosines(updates)
    for i in range(6):
        for j in range(6):
            if 3 not in (i, j):
                assert got[i, j] == pytest.approx(1 - cosine(updates[i], updates[j]), abs=1e-5)
    assert (got[3] == 0).all()
    assert (np.abs(got) <= 1).all()


def test_cosines_of_many_updates_are_those_of_the_whole_product():
    updates = torch.randn(300, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = updates.numpy() / np.linalg.norm(updates.numpy(), axis=1, keepdims=True)
    got = update_cosines(updates)
    assert np.allclose(got, unit @ unit.T, rtol=0, atol=1e-12)


def test_cosines_of_few_updates_are_those_of_the_whole_product_to_the_bit():
    updates = torch.randn(10, 2240, generator=torch.Generator().manual_seed(0))
    unit = updates / updates.norm(dim=1, keepdim=True)
    assert np.array_equal(update_cosines(updates), (unit @ unit.T).clamp(-1.0, 1.0).double().numpy())


def test_noise_has_the_power_that_the_snr_says():
    updates = torch.tensor([[1.0], [10.0], [0.0]]).repeat(1, 100_000)
    noise = noisy_updates(updates, 10.0, torch.Generator().manual_seed(0)) - updates
    assert noise.square().mean(dim=1).tolist() == pytest.approx([0.1, 10.0, 0.0], rel=0.02)
    assert np.corrcoef(noise[:2].numpy())[0, 1] == pytest.approx(0.0, abs=0.02)


def test_only_pairs_that_both_came_back_are_refreshed():
    before = UpdateSimilarity(4)
    once = before.refreshed(torch.tensor([[2.0, 0.0], [3.0, 4.0]]), np.array([True, False, True, False]))
    later = once.refreshed(torch.tensor([[0.0, 1.0], [3.0, -4.0]]), np.array([True, True, False, False]))
    twice = later.matrix()
    assert np.array_equal(before.matrix(), np.eye(4))
    assert twice[0, 2] == twice[2, 0] == pytest.approx(0.6)
    assert twice[0, 1] == twice[1, 0] == pytest.approx(-0.8)
    assert np.count_nonzero(twice) == 4 + 4
    assert (np.diag(twice) == 1).all()


@pytest.mark.parametrize("shape", [(0, 5), (2, 0)])
def test_without_updates_to_compare_nothing_is_kept(shape):
    before = UpdateSimilarity(4)
    assert before.refreshed(torch.empty(shape), np.arange(4) < shape[0]) is before


@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=5, max_size=5), st.booleans()), max_size=12), st.data())
def test_similarities_are_the_same_whenever_they_are_read(rounds, data):
    kept, expected = UpdateSimilarity(5), np.eye(5)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    for returned, is_read in rounds:
        members = np.flatnonzero(returned)
        updates = torch.randn(len(members), 3, generator=generator)
        kept = kept.refreshed(updates, np.array(returned))
        if members.size:
            expected[np.ix_(members, members)] = update_cosines(updates)
            np.fill_diagonal(expected, 1.0)
        assert sum(numbers.size for _, numbers in kept.rounds) <= expected.size
        if is_read:
            assert np.array_equal(kept.matrix(), expected)
    assert np.array_equal(kept.filled(), expected)


def test_the_state_shows_the_cosines_of_the_encoders_updates():
    simulation = build()
    state = simulation.reset(0)
    assert np.array_equal(state.update_similarity, np.eye(3))
    for _ in range(2):
        before = simulation.get_state()["models"]["held"]
        state, _ = simulation.step(decide(state, [0, 1, 2]))
        shared = len(simulation.get_state()["models"]["gateway_models"][0, 0])
        updates = (simulation.get_state()["models"]["held"] - before)[:, :shared]
        expected = torch.nn.functional.cosine_similarity(updates[:, None], updates[None], dim=2)
        np.testing.assert_allclose(state.update_similarity, expected, atol=1e-6)


def test_satellites_that_sit_out_keep_their_similarities():
    simulation = build()
    state = simulation.reset(0)
    state, _ = simulation.step(decide(state, [0, 0, 0]))
    first = state.update_similarity
    state, report = simulation.step(decide(state, [0, 0, 0], association=np.array([0, 0, 1])))
    assert report.outcome[2] == Outcome.SAT_OUT
    assert np.array_equal(state.update_similarity[2], first[2])
    assert state.update_similarity[0, 1] != first[0, 1]


def test_noisy_uploads_have_a_stream_of_their_own():
    clean, noisy, again = build(), build(**{"links.upload_snr_db": 0.0}), build(**{"links.upload_snr_db": 0.0})
    states = [simulation.reset(1) for simulation in (clean, noisy, again)]
    rounds = [sim.step(decide(state, [0, 0, 2])) for sim, state in zip((clean, noisy, again), states, strict=True)]
    reports = [report for _, report in rounds]
    # Training came before the noise, and nothing else was drawn differently.
    np.testing.assert_array_equal(reports[0].train_loss, reports[1].train_loss)
    assert (reports[0].test_loss != reports[1].test_loss).all()
    np.testing.assert_array_equal(reports[1].test_loss, reports[2].test_loss)
    shared = len(clean.get_state()["models"]["gateway_models"][0, 0])
    held, with_noise = clean.get_state()["models"]["held"], noisy.get_state()["models"]["held"]
    assert torch.equal(held[:, shared:], with_noise[:, shared:])
    assert not torch.equal(held[:, :shared], with_noise[:, :shared])


def test_almost_no_noise_changes_almost_nothing():
    clean, noisy = build(), build(**{"links.upload_snr_db": 120.0})
    held = []
    for simulation in (clean, noisy):
        simulation.step(decide(simulation.reset(0), [0, 0, 2]))
        held.append(simulation.get_state()["models"]["held"])
    torch.testing.assert_close(*held, rtol=0, atol=1e-6)


def test_first_decoders_are_common_or_their_own():
    for kind, equal in [("common", True), ("own", False)]:
        simulation = build(**{"training.first_decoders": kind})
        simulation.reset(0)
        held = simulation.get_state()["models"]["held"]
        assert torch.equal(held[0], held[1]) is equal
        assert torch.equal(held[0, :10], held[1, :10])
