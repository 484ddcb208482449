from __future__ import annotations

import numpy as np
import pytest
import torch

from satfl_env import Decision, NetworkState, Outcome, Simulation, scenarios
from satfl_env.simulation.uploads import noisy_updates
from tests.factories import make_decision


def build(**overrides: object) -> Simulation:
    return scenarios.build(scenarios.load("task-clustering-mini", **overrides))


def decide(state: NetworkState, cluster: list[int], **changes: object) -> Decision:
    fast = {"cpu_frequency": state.cpu_max_hz, "cluster": np.array(cluster)}
    return make_decision(np.zeros(3, dtype=np.int64), 1, **{**fast, **changes})


def test_noise_has_the_power_that_the_snr_says():
    updates = torch.tensor([[1.0], [10.0], [0.0]]).repeat(1, 100_000)
    noise = noisy_updates(updates, 10.0, torch.Generator().manual_seed(0)) - updates
    assert noise.square().mean(dim=1).tolist() == pytest.approx([0.1, 10.0, 0.0], rel=0.02)
    assert np.corrcoef(noise[:2].numpy())[0, 1] == pytest.approx(0.0, abs=0.02)


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
