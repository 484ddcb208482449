"""Parts of the observation are a setting: spaces, vector environments, wrappers and policies follow it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from satfl_baselines import as_agent, make_policy
from satfl_env import SatFLEnv, observation_to_state
from satfl_env.scenarios import ScenarioError, load
from satfl_env.simulation import STATE_PARTS
from satfl_env.wrappers import ScaledObservation

SHORT = {"training.engine": "none", "rounds.episode": 3}
MATRICES = ("similarity", "update_similarity")


def without(*parts: str) -> dict[str, object]:
    return {**SHORT, "observation.leave_out": list(parts)}


def test_everything_is_observed_unless_it_is_left_out():
    env = SatFLEnv(overrides=SHORT)
    assert tuple(env.observation_space) == STATE_PARTS
    some = SatFLEnv(overrides=without("kappa", "visible"))
    assert tuple(some.observation_space) == tuple(part for part in STATE_PARTS if part not in ("kappa", "visible"))
    (seen, _), (whole, _) = some.reset(seed=3), env.reset(seed=3)
    assert seen.keys() == some.observation_space.keys()
    for part in seen:
        assert np.array_equal(seen[part], whole[part]), part
    assert some.action_space == env.action_space


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["similarty"],
            r"observation.leave_out: must be names of round, .*, got 'similarty', did you mean 'similarity'",
        ),
        (["charge"], r"observation.leave_out: must be names of round, .*, got 'charge'"),
        (STATE_PARTS, "observation.leave_out must leave at least one part, got all of them"),
        ("kappa", "observation.leave_out: .*got 'kappa'"),
    ],
)
def test_impossible_choices_are_refused(names, message):
    with pytest.raises(ScenarioError, match=message) as caught:
        load("leo-multitask", **{"observation.leave_out": names})
    assert len(str(caught.value).splitlines()) == 2


def test_vectors_processes_and_wrappers_observe_the_same_parts():
    agent = as_agent(make_policy("semspacefl"))
    changes = {**without(*MATRICES), "observation.add": ["contact_start_s", "rounds_to_merge"]}
    env = gym.make("SatFL-v0", overrides=changes)
    whole = ScaledObservation(SatFLEnv(overrides=SHORT)).observation_space.shape[0]
    assert ScaledObservation(env).observation_space.shape[0] == whole - 2 * 100 + 10 * 3 * 2 + 1
    vectors = [
        gym.make_vec(
            "SatFL-v0", num_envs=2, vectorization_mode="vector_entry_point", overrides=changes, workers=workers
        )
        for workers in (1, 2)
    ]
    observation, _ = env.reset(seed=5)
    seen = [envs.reset(seed=[5, 6])[0] for envs in vectors]
    for _ in range(3):
        assert all(envs.keys() == observation.keys() for envs in seen)
        for part in observation:
            assert np.array_equal(seen[0][part][0], observation[part]), part
            assert np.array_equal(seen[0][part], seen[1][part]), part
        observation, *_ = env.step(agent(observation))
        seen = [envs.step(agent(batch))[0] for envs, batch in zip(vectors, seen, strict=True)]
    for envs in vectors:
        envs.close()


def test_a_part_that_is_not_observed_says_so():
    env = SatFLEnv(overrides=without(*MATRICES))
    observation, _ = env.reset(seed=0)
    state = observation_to_state(observation)
    with pytest.raises(AttributeError, match=r"'similarity' is not in this state.*observation\.leave_out$"):
        _ = state.similarity
    with pytest.raises(AttributeError, match=r"'contact_end_s' is not in this state.*observation\.add$"):
        _ = state.contact_end_s
    with pytest.raises(AttributeError, match="'similarty'"):
        _ = state.similarty
    assert "kappa" in repr(state)
    assert "similarity" not in repr(state)
    # The simulation's own state has it all the same.
    assert env.simulation.state.similarity.shape == env.simulation.state.update_similarity.shape == (10, 10)


def test_what_nobody_reads_is_not_computed(monkeypatch):
    def fails(*args):
        raise AssertionError("computed")

    monkeypatch.setattr("satfl_env.simulation.episode.semantic_similarity", fails)
    monkeypatch.setattr("satfl_env.simulation.update_similarity.UpdateSimilarity.matrix", fails)
    env, agent = SatFLEnv(overrides=without(*MATRICES)), as_agent(make_policy("nearest-fedavg"))
    observation, _ = env.reset(seed=0)
    for _ in range(3):
        observation, *_ = env.step(agent(observation))
    with pytest.raises(AssertionError, match="computed"):
        _ = env.simulation.state.similarity


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it)), lambda it: replace(it, round=1)]
)
@pytest.mark.parametrize("is_read", [False, True])
def test_copies_of_a_state_compute_what_it_would(clone, is_read):
    simulation = SatFLEnv(overrides=SHORT).simulation
    state = simulation.reset(1)
    if is_read:
        assert not state.similarity.flags.writeable
    cloned = clone(state)
    assert np.array_equal(cloned.similarity, state.similarity)
    assert np.array_equal(cloned.update_similarity, np.eye(10))
