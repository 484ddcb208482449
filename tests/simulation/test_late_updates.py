from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from satfl_env import Decision, NetworkState, Outcome, RoundReport, SatFLEnv, Simulation, scenarios
from satfl_env.federated import weighted_mean
from satfl_env.scenarios import ScenarioError
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols import staleness_discount
from tests.factories import decide as longest_window
from tests.factories import make_decision

QUICK = {"training.max_epochs": 2, "rounds.cloud_every": 1000}


def build(late: dict | None, **overrides: object) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, "rounds.late": late, **overrides}))


def decide(state: NetworkState) -> Decision:
    return longest_window(state, cpu_frequency=np.full(state.num_satellites, 2.5e8))


def play(simulation: Simulation, rounds: int, seed: int = 0) -> list[RoundReport]:
    state, reports = simulation.reset(seed), []
    for _ in range(rounds):
        state, report = simulation.step(decide(state))
        reports.append(report)
    return reports


@given(staleness=st.integers(0, 1000), power=st.floats(0, 3))
def test_updates_count_less_the_staler_they_are(staleness: int, power: float) -> None:
    now, later = staleness_discount(np.array([staleness, staleness + 1]), power)
    assert now == pytest.approx((1 + staleness) ** -power)
    assert later <= now <= 1.0


def test_fedbuff_by_hand() -> None:
    """Two gateways; a buffer of three; models move along the mean of discounted updates (FedBuff, Algorithm 1)."""
    rng = np.random.default_rng(0)
    first = torch.zeros(4, 5) + torch.arange(5.0)
    store = ModelStore(first.clone(), 5, 2)
    model, waiting = first[0].double().numpy(), []
    for arrivals in ([0, 2], [1], [3, 0], [2]):
        updates, discount = rng.normal(size=(4, 5)).astype(np.float32), rng.uniform(0.2, 1.0, 4)
        returned = np.isin(np.arange(4), arrivals)
        start, trained = store.held.clone(), store.held + torch.from_numpy(updates)
        arrived = Arrivals(start, trained, trained, returned, np.zeros((4, 2), np.int64), np.ones(4, np.int64))
        intake = store.take_in(make_decision(np.zeros(4, np.int64)), arrived)
        discounted = torch.from_numpy(discount[intake.members, None] * updates[intake.members]).float()
        store.wait(intake, discounted, np.zeros(len(intake.members), dtype=np.int64))
        if len(store.waiting[0, 0].updates) >= 3:
            store.move((0, 0), weighted_mean, 0.5)
        waiting += [discount[it] * updates[it] for it in sorted(arrivals)]
        if len(waiting) >= 3:
            model, waiting = model + 0.5 * np.mean(waiting, axis=0), []
    assert not waiting
    np.testing.assert_allclose(store.gateway_models[0, 0].numpy(), model, atol=1e-5)
    assert list(store.gateway_models) == [(0, 0)]


def test_a_satellite_first_fetches_and_later_hands_over_what_it_trained_on_the_way() -> None:
    simulation = build({"buffer": 1, "staleness_power": 0.0})
    reports = play(simulation, 8)
    assert set(reports[0].outcome) <= {Outcome.FETCHED, Outcome.SAT_OUT}
    assert (reports[0].epochs == 0).all()
    assert not reports[0].lost.any()
    fetched_s = np.where(reports[0].outcome == Outcome.FETCHED, 0.0, np.nan)
    changes, fetched_version = 0, np.zeros(10)
    for report in reports[1:]:
        came = report.returned
        away_s = report.time_s - fetched_s
        assert (report.compute_s[came] <= away_s[came]).all()
        assert report.duration_s == pytest.approx(max(60.0, (report.download_s + report.upload_s).max()))
        np.testing.assert_array_equal(report.staleness[came], changes - fetched_version[came])
        changes += came.any()
        fresh = came | (report.outcome == Outcome.FETCHED)
        fetched_s[fresh], fetched_version[fresh] = report.time_s, changes
    assert sum(report.returned.sum() for report in reports) > 5
    assert reports[-1].test_loss.mean() < reports[0].test_loss_before.mean()


def test_a_full_buffer_is_needed_before_a_model_changes() -> None:
    simulation = build({"buffer": 10_000})
    play(simulation, 5)
    state = simulation.get_state()
    assert state["models"]["gateway_models"] == {}
    assert sum(len(updates) for updates, *_ in state["models"]["waiting"].values()) > 0


def test_a_late_federation_can_be_saved_and_taken_up_elsewhere() -> None:
    simulation, other = build({"buffer": 3}), build({"buffer": 3})
    play(simulation, 4)
    state = other.set_state(copy.deepcopy(simulation.get_state()))
    one, two = simulation.step(decide(simulation.state))[1], other.step(decide(state))[1]
    np.testing.assert_array_equal(one.test_loss, two.test_loss)
    np.testing.assert_array_equal(one.staleness, two.staleness)


def test_an_update_is_as_stale_as_models_have_changed_since_its_fetch() -> None:
    """All fetch together; then they hand over in threes, each time behind those that came before."""
    simulation = build({"buffer": 1}, **{"onboard.cycles_per_sample": 1e8})
    state = simulation.reset(0)
    state, report = simulation.step(decide(state))
    fetched = np.flatnonzero(report.outcome == Outcome.FETCHED)
    assert len(fetched) >= 6
    for changes, turn in enumerate(np.array_split(fetched, 3)):
        decision = decide(state)
        waits = ~np.isin(np.arange(10), turn)
        association = np.where(waits, state.num_gateways, decision.association)
        state, report = simulation.step(replace(decision, association=association))
        assert report.returned[turn].all()
        assert (report.staleness[report.returned] == changes).all()
        assert not report.staleness[~report.returned].any()


def test_transfers_must_fit_a_fixed_cadence() -> None:
    slow = {"kind": "ideal", "rate_bps": 1e5}
    fitting, cut = (build({}, links=slow, **{"rounds.cadence_s": it, "training.engine": "none"}) for it in (600.0, 1.0))
    assert (play(fitting, 1)[0].outcome == Outcome.FETCHED).any()
    assert set(play(cut, 1)[0].outcome) <= {Outcome.OUT_OF_TIME, Outcome.SAT_OUT}


def test_spaces_stay_the_same() -> None:
    plain, late = SatFLEnv("leo-multitask"), SatFLEnv("leo-multitask", {"rounds.late": {"buffer": 2}})
    assert plain.action_space == late.action_space
    assert plain.observation_space == late.observation_space
    with pytest.raises(ScenarioError, match=r"rounds\.late\.buffer"):
        scenarios.load("leo-multitask", **{"rounds.late": {"buffer": 0}})


def test_a_model_fetched_at_0_hz_is_fetched_anew() -> None:
    simulation = build({"buffer": 1, "staleness_power": 0.0})
    state = simulation.reset(0)
    state, first = simulation.step(replace(decide(state), cpu_frequency=np.zeros(10)))
    stopped, back = first.outcome == Outcome.FETCHED, np.zeros(10, dtype=bool)
    assert stopped.any()
    for _ in range(10):
        state, report = simulation.step(decide(state))
        assert not (report.outcome[~back & stopped] == Outcome.OUT_OF_TIME).any()
        back |= report.outcome == Outcome.FETCHED
    assert back[stopped].any()


def test_a_diverged_satellite_fetches_a_model_anew() -> None:
    simulation = build({"buffer": 1, "staleness_power": 0.0}, **{"training.learning_rate": 1e30})
    state = simulation.reset(0)
    for _ in range(6):
        before = simulation.get_state()["progress"]["fetched_s"]
        state, report = simulation.step(decide(state))
        diverged = report.outcome == Outcome.DIVERGED
        if diverged.any():
            break
    assert diverged.any()
    after = simulation.get_state()["progress"]["fetched_s"]
    assert (after[diverged] == report.time_s).all()
    assert (after[diverged] > before[diverged]).all()
