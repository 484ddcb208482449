"""The state's forecast, the versions of the gateways' models and the rounds to the next merge."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from satfl_env import SatFLEnv, SatFLVectorEnv, Simulation, observation_to_state
from satfl_env.orbits import PlanarScene, Scene
from satfl_env.scenarios import ScenarioError, build, load
from satfl_env.simulation import MORE_PARTS
from satfl_env.wrappers import ScaledObservation
from tests.factories import decide, make_decision

QUICK = {"training.engine": "none", "rounds.episode": 6}
EVERYTHING = {**QUICK, "observation.add": list(MORE_PARTS)}
LATE_FAULTY_UNEQUAL = {
    "rounds.late": {"buffer": 2},
    "faults": {"satellites": {"mtbf_s": 600.0, "mttr_s": 300.0}, "contact_loss": 0.2},
    "fleet": [{"name": "slow", "count": 4, "cpu_max_hz": 5e8}, {"name": "others"}],
}
SCENARIOS: dict[str, dict[str, Any]] = {
    "leo-multitask": {},
    "walker-earth": {
        "data.test_samples": 4,
        "data.partition": {"kind": "dirichlet", "alpha": 1.0, "total_samples": 108, "min_samples": 1},
    },
}


def trained(rounds: int, **changes: object) -> Simulation:
    return build(load("task-clustering-mini", **{"rounds.episode": rounds, "training.max_epochs": 1, **changes}))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_is_added_lies_inside_its_bounds_and_goes_back_into_the_state(scenario):
    env = SatFLEnv(scenario, {**EVERYTHING, **SCENARIOS[scenario], "observation.contacts": 3})
    satellites, gateways = env.observation_space["visible"].shape
    assert tuple(env.observation_space)[-len(MORE_PARTS) :] == MORE_PARTS
    assert env.observation_space["contact_end_s"].shape == (satellites, gateways, 3)
    assert ScaledObservation(env).observation_space.shape[0] > 6 * satellites * gateways
    observation, _ = env.reset(seed=1)
    env.action_space.seed(1)
    for _ in range(4):
        assert observation in env.observation_space
        state, seen = env.simulation.state, observation_to_state(observation)
        for part in MORE_PARTS:
            assert np.array_equal(getattr(seen, part), getattr(state, part)), part
            assert type(getattr(seen, part)) is type(getattr(state, part)), part
            assert np.array_equal(getattr(replace(seen, round=0), part), getattr(state, part)), part
        assert (state.contact_start_s[state.visible][:, 0] >= state.window_s[state.visible] - 0.05).all()
        assert (np.diff(state.contact_start_s, axis=2) >= 0).all()
        assert (state.contact_end_s >= state.contact_start_s).all()
        assert (state.contact_end_s <= env.simulation.scene.horizon_s).all()
        observation, *_ = env.step(env.action_space.sample())


def test_the_forecast_comes_true():
    simulation = build(load("leo-multitask", **{**QUICK, "rounds.cadence_s": 100.0, "rounds.episode": 15}))
    states = [simulation.reset(2)]
    for _ in range(14):
        states.append(simulation.step(decide(states[-1]))[0])
    first = states[0]
    for state in states:
        # Who is seen is in the contact under way, or in one of the two that come after it.
        now_s = state.time_s
        coming = (first.contact_start_s <= now_s) & (now_s < first.contact_end_s)
        expected = (first.window_s > now_s) | coming.any(axis=2)
        assert np.array_equal(state.visible, expected)
        left_s = (first.contact_end_s - now_s)[coming]
        whole = first.contact_end_s[coming] < simulation.scene.horizon_s
        np.testing.assert_allclose(state.window_s[coming.any(axis=2)][whole], left_s[whole], atol=1e-6)


def test_the_sun_sets_when_the_forecast_says():
    simulation = build(load("walker-earth", **{**QUICK, **SCENARIOS["walker-earth"]}))
    state = simulation.reset(0)
    start_s, end_s = state.eclipse_start_s, state.eclipse_end_s
    for satellite in (0, int(start_s.argmax()), int(start_s.argmin())):
        lit_s = simulation.scene.sunlit_s(0.0, end_s[satellite])[satellite]
        assert lit_s == pytest.approx(start_s[satellite], abs=20)
    assert (start_s == 0).any()
    assert 3600 < start_s.max() < end_s.max() < simulation.scene.horizon_s


def test_a_forecast_that_nobody_reads_costs_nothing(monkeypatch):
    def fails(*args):
        raise AssertionError("searched")

    monkeypatch.setattr(PlanarScene, "contacts", fails)
    monkeypatch.setattr(PlanarScene, "eclipses", fails)
    simulation = build(load("leo-multitask", **QUICK))
    state = simulation.reset(0)
    state, _ = simulation.step(decide(state))
    for part in ("contact_start_s", "eclipse_end_s"):
        with pytest.raises(AssertionError, match="searched"):
            getattr(state, part)


@pytest.mark.parametrize("others", [{}, LATE_FAULTY_UNEQUAL], ids=["alone", "late-faulty-unequal"])
def test_single_vector_copied_and_restored_environments_foresee_the_same(others):
    changes = {**EVERYTHING, **others}
    env, envs = SatFLEnv(overrides=changes), SatFLVectorEnv(2, overrides=changes)
    observation, _ = env.reset(seed=7)
    batch, _ = envs.reset(seed=[8, 7])
    envs.action_space.seed(0)
    for _ in range(3):
        for part in MORE_PARTS:
            assert np.array_equal(batch[part][1], observation[part]), part
        actions = envs.action_space.sample()
        twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
        other = SatFLEnv(overrides=changes)
        other.reset(seed=7)
        other.simulation.set_state(env.simulation.get_state())
        action = {name: values[1] for name, values in actions.items()}
        observation, *_ = env.step(action)
        for twin in (*twins, other):
            again, *_ = twin.step(action)
            for part in MORE_PARTS:
                assert np.array_equal(again[part], observation[part]), part
        batch, *_ = envs.step(actions)


def test_forecasts_are_a_satellites_own_contacts_where_others_relay_its_models():
    small = {**QUICK, **SCENARIOS["walker-earth"], "constellation.satellites": 54}
    relayed = build(load("walker-earth", **small, **{"rounds.relay": {}})).reset(0)
    alone = build(load("walker-earth", **small)).reset(0)
    assert (relayed.window_s != alone.window_s).any()
    assert np.array_equal(relayed.contact_start_s, alone.contact_start_s)


def test_versions_count_the_changes_of_models_and_merges_spread_the_latest():
    simulation = trained(6, **{"constellation.gateways_m": [[0, 0], [1, 0]], "rounds.cloud_every": 3})
    state = simulation.reset(0)
    assert not state.gateway_version.any()
    states, countdown = [], []
    # Clusters 0 and 1 at gateway 0, then cluster 0 at gateway 1, then nobody before the merge.
    for association in ([0, 0, 2], [1, 2, 2], [2, 2, 2], [2, 0, 2]):
        countdown.append(state.rounds_to_merge)
        decision = make_decision(association, 2, cluster=np.array([0, 1, 2]), cpu_frequency=state.cpu_max_hz)
        state, report = simulation.step(decision)
        assert report.merged == (countdown[-1] == 1)
        states.append(state)
    assert countdown == [3, 2, 1, 3]
    restored = trained(6, **{"constellation.gateways_m": [[0, 0], [1, 0]]}).set_state(simulation.get_state())
    assert np.array_equal(restored.gateway_version, state.gateway_version)
    # A state keeps its own, also if it is read later.
    assert [each.gateway_version.tolist() for each in states] == [
        [[1, 1, 0], [0, 0, 0]],
        [[1, 1, 0], [2, 0, 0]],
        [[2, 2, 0], [2, 2, 0]],
        [[2, 3, 0], [2, 2, 0]],
    ]


def test_rounds_left_count_down_to_the_end_of_the_episode():
    simulation = trained(3)
    state, countdown = simulation.reset(0), []
    while not simulation.finished:
        countdown.append(state.rounds_left)
        state, _ = simulation.step(decide(state))
    assert [*countdown, state.rounds_left] == [3, 2, 1, 0]


def test_buffered_updates_change_the_version_when_the_buffer_is_full():
    late = {"buffer": 2, "staleness_power": 0.5}
    simulation = trained(6, **{"rounds.late": late, "rounds.cloud_every": 6})
    state, versions = simulation.reset(0), []
    for association in ([0, 0, 0], [0, 1, 1], [1, 0, 1]):
        state, _ = simulation.step(make_decision(association, 1, cpu_frequency=state.cpu_max_hz))
        versions.append(state.gateway_version[0].tolist())
    assert versions == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"add": ["contact_start"]},
            r"observation.add: must be names of contact_start_s, .*got 'contact_start', did you mean",
        ),
        ({"add": ["kappa"]}, "observation.add: must be names of contact_start_s, .*got 'kappa'"),
        ({"contacts": 0}, "observation.contacts: .* got 0"),
        ({"horizon_s": 1e6}, "observation.horizon_s: .* got 1000000.0"),
        ({"horizon": 10.0}, "observation.horizon: unknown key, did you mean 'horizon_s'"),
    ],
)
def test_impossible_choices_are_refused(changes, message):
    with pytest.raises(ScenarioError, match=message):
        load("leo-multitask", observation=changes)


class OwnScene:
    """Only what a scene must have."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._scene = load("leo-multitask").constellation.scenes(load("leo-multitask").rounds)(rng)

    def __getattr__(self, name: str) -> Any:
        if name in ("contacts", "eclipses", "decay_s") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._scene, name)


def test_a_scene_of_ones_own_is_foreseen_as_well():
    ours = build(load("leo-multitask", **QUICK), parts={"scene": OwnScene}).reset(3)
    exact = build(load("leo-multitask", **QUICK)).reset(3)
    np.testing.assert_allclose(ours.contact_start_s, exact.contact_start_s, atol=1.1)
    np.testing.assert_allclose(ours.contact_end_s, exact.contact_end_s, atol=1e-6)
    assert np.array_equal(ours.eclipse_start_s, exact.eclipse_start_s)


@pytest.mark.parametrize(
    ("contacts", "message"),
    [
        (None, r"must be a ForeseenScene, since it has a part of one; Half lacks the method eclipses\(\)"),
        (([30], [0.0], [1.0]), r"contacts\(0, 60\).row must be one pair each, below 30, got \[30\]"),
        (([0], [2.0], [1.0]), r"contacts\(0, 60\) must lie in 0..60 s and not end before they begin"),
        (([0], [np.nan], [1.0]), r"contacts\(0, 60\).start_s must be finite"),
    ],
)
def test_a_scene_that_foresees_impossible_things_is_refused(contacts, message):
    class Half(OwnScene):
        def contacts(self, start_s: float, end_s: float) -> object:
            return contacts

    class Whole(Half):
        def eclipses(self, start_s: float, end_s: float) -> object:
            return [], [], []

    scene: type[Scene] = Half if contacts is None else Whole
    with pytest.raises((TypeError, ValueError), match=message):
        build(load("leo-multitask", **QUICK), parts={"scene": scene})
