from __future__ import annotations

import sys
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("pettingzoo")

from gymnasium import spaces
from gymnasium.error import ResetNeeded
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test
from pettingzoo.test.state_test import state_test
from pettingzoo.utils import parallel_to_aec

from satfl_env import SatFLEnv, decision_to_action, parallel_env
from satfl_env.envs.spaces import actions_of_size
from satfl_env.scenarios import load
from satfl_env.wrappers.agents import AGENTS
from tests.factories import decide, parts_of

KINDS = ("satellites", "gateways")
PHYSICS_ONLY = {"training.engine": "none", "rounds.episode": 3}
SHORT = {"training.max_epochs": 1, "data.test_samples": 8, "rounds.episode": 3}
DECIDED = {"rounds.aggregate": "decided", "access.sharing": "decided"}
each_kind = pytest.mark.parametrize("agents", KINDS)


def make(agents: str, **overrides: Any):
    return parallel_env("leo-multitask", agents, overrides={**PHYSICS_ONLY, **overrides})


def sampled(env) -> dict[str, Any]:
    return {agent: env.action_space(agent).sample() for agent in env.agents}


def assert_the_same(one: SatFLEnv, other: SatFLEnv) -> None:
    """The last round, the state after it and the models of two environments are equal to the bit."""
    assert one._last_round is not None
    assert other._last_round is not None
    np.testing.assert_equal(parts_of(one._last_round[2]), parts_of(other._last_round[2]))
    np.testing.assert_equal(parts_of(one.simulation.state), parts_of(other.simulation.state))
    models = (env.simulation.get_state()["models"]["held"] for env in (one, other))
    assert torch.equal(*models)


def as_choices(agents: str, action: dict[str, Any], num_gateways: int) -> dict[str, dict[str, Any]]:
    """What each agent chooses for a native action to come out."""
    optional = [name for name in ("bandwidth",) if name in action]
    if agents == "satellites":
        keys = ("association", "cluster", "cpu_frequency", "weights", *optional)
        return {f"satellite_{s}": {key: action[key][s] for key in keys} for s in range(len(action["weights"]))}
    shared = {key: action[key] for key in ("cluster", "cpu_frequency", "weights", *optional)}
    return {
        f"gateway_{g}": {
            **shared,
            "admit": (action["association"] == g).astype(np.int8),
            "gateway_weights": action["gateway_weights"][g],
            **({"aggregate": action["aggregate"][g]} if "aggregate" in action else {}),
        }
        for g in range(num_gateways)
    }


@each_kind
def test_pettingzoo_s_own_tests_pass(agents):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(make(agents), num_cycles=10)
        parallel_seed_test(lambda: make(agents))
        seed_test(lambda: parallel_to_aec(make(agents)), num_cycles=2)
        state_test(parallel_to_aec(make(agents)), make(agents), num_cycles=2)


@each_kind
def test_its_form_for_agents_in_turn_passes(agents):
    with warnings.catch_warnings():
        # It warns of observations that are no arrays.
        warnings.filterwarnings("ignore", message="Observation", category=UserWarning)
        api_test(parallel_to_aec(make(agents)), num_cycles=10)


@each_kind
@pytest.mark.parametrize("more", [{}, DECIDED], ids=["plain", "decided"])
def test_the_same_joint_decision_gives_the_same_episode(agents, more):
    scenario = load("leo-multitask", **SHORT, **more)
    env, alone = parallel_env(scenario, agents), SatFLEnv(scenario)
    rng = np.random.default_rng(0)
    env.reset(seed=5)
    alone.reset(seed=5)
    while env.agents:
        state = alone.simulation.state
        decision = decide(state)
        associated, gateways = decision.association < state.num_gateways, state.num_gateways
        # What agents can bring about: gateways keep the cluster of those that they do not admit.
        cluster = np.where(associated, rng.integers(0, 3, len(associated)), state.cluster)
        weights = np.where(associated, rng.random(len(associated)), 0.0)
        action = {**decision_to_action(decision, state), "cluster": cluster, "weights": weights}
        sums = np.bincount(decision.association, weights, minlength=gateways + 1)[:-1]
        action["gateway_weights"] = sums / max(1.0, sums.max())
        if more:
            action["bandwidth"] = np.where(associated, rng.random(len(associated)), 0.0)
            late = np.zeros(gateways) if agents == "satellites" else rng.integers(0, 3, gateways)
            action["aggregate"] = np.append(late, 0).astype(np.int64)
        _, reward, terminated, truncated, info = alone.step(action)
        _, rewards, terminations, truncations, _ = env.step(as_choices(agents, action, gateways))
        assert set(rewards.values()) == {reward}
        assert set(terminations.values()) == {terminated}
        assert set(truncations.values()) == {truncated}
        assert_the_same(env.env.unwrapped, alone)
    assert info["epochs"].any()


@each_kind
def test_observations_and_infos_are_an_agent_s_own(agents):
    env = make(agents)
    observations, infos = env.reset(seed=0)
    whole = env.env.observation(None)
    state = env.env.unwrapped.simulation.state
    for number, agent in enumerate(env.possible_agents):
        seen = observations[agent]
        assert seen in env.observation_space(agent)
        satellites = agents == "satellites"
        np.testing.assert_array_equal(
            seen["satellite"], whole["satellite"][number] if satellites else whole["satellite"]
        )
        np.testing.assert_array_equal(seen["pair"], whole["pair"][number] if satellites else whole["pair"][:, number])
        np.testing.assert_array_equal(seen["globals"], whole["globals"])
        mask = infos[agent]["action_mask"]
        if satellites:
            np.testing.assert_array_equal(mask["association"], [*state.visible[number], True])
        else:
            np.testing.assert_array_equal(mask["admit"], 2 * state.visible[:, number])
    seen["globals"][:] = 7.0
    assert all((observation["globals"] != 7.0).all() for observation in list(observations.values())[:-1])
    actions = {agent: env.action_space(agent).sample(infos[agent]["action_mask"]) for agent in env.agents}
    _, _, _, _, infos = env.step(actions)
    _, report = env.env.unwrapped._last_round[1:]
    assert not (report.outcome == 2).any() or satellites  # masked choices are of gateways in sight
    if satellites:
        assert [infos[agent]["outcome"] for agent in env.agents] == report.outcome.tolist()
        assert [infos[agent]["energy_j"] for agent in env.agents] == report.energy_j.tolist()
    whole = env.env.observation(None)
    parts = [np.ravel(whole[key]) for key in env.env.observation_space.spaces]
    np.testing.assert_array_equal(env.state(), np.concatenate(parts))


def test_a_satellite_goes_to_the_gateway_that_sees_it_longest():
    env = make("gateways")
    env.reset(seed=0)
    state = env.env.unwrapped.simulation.state
    choices = [env.action_space(agent).sample() for agent in env.agents]
    for number, choice in enumerate(choices):
        choice["admit"][:] = 1
        choice["admit"][0] = 0
        choice["cluster"][:] = number
    action = env._kind.action(choices, state)
    assert action["association"][0] == state.sits_out
    assert action["cluster"][0] == state.cluster[0]
    assert action["weights"][0] == 0
    for satellite in range(1, state.num_satellites):
        window_s = state.window_s[satellite]
        assert action["association"][satellite] == window_s.tolist().index(window_s.max())
    np.testing.assert_array_equal(action["cluster"][1:], action["association"][1:])


def test_what_is_wrong_with_actions_is_told_and_changes_nothing():
    env = make("satellites")
    with pytest.raises(ResetNeeded):
        env.step({})
    env.reset(seed=0)
    actions = sampled(env)
    wrong = {
        "lack \\['satellite_3'\\]": {agent: actions[agent] for agent in actions if agent != "satellite_3"},
        "unknown \\['moon'\\]": {**actions, "moon": actions["satellite_0"]},
        "action of satellite_2 must lie in Dict": {**actions, "satellite_2": {**actions["satellite_2"], "cluster": 99}},
    }
    twin = make("satellites")
    twin.reset(seed=0)
    for message, some in wrong.items():
        with pytest.raises(ValueError, match=message):
            env.step(some)
    env.step(actions)
    twin.step(actions)
    assert_the_same(env.env.unwrapped, twin.env.unwrapped)
    with pytest.raises(ValueError, match="agents must be one of satellites, gateways, got 'sattelites', did you mean"):
        parallel_env(agents="sattelites")


@each_kind
def test_spaces_of_many_satellites_take_little_memory(agents):
    satellites, gateways = 2000, 5
    sets = spaces.Dict(
        {
            "satellite": spaces.Box(-1, 1, (satellites, 20)),
            "pair": spaces.Box(-1, 1, (satellites, gateways, 17)),
            "globals": spaces.Box(-1, 1, (9,)),
        }
    )
    kind = AGENTS[agents](actions_of_size(satellites, gateways, ()), sets)
    observed = sum(part.low.nbytes for part in kind.observation_space.values())
    assert observed < (1000 if agents == "satellites" else 4 * satellites * 40)
    tracemalloc.start()
    chosen = [kind.action_space() for _ in kind.names]
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(chosen) == len(kind.names)
    assert used < 10_000 * satellites


def test_pettingzoo_s_absence_is_told_in_a_line(monkeypatch):
    monkeypatch.delitem(sys.modules, "satfl_env.wrappers.pettingzoo_env", raising=False)
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    with pytest.raises(ImportError, match=r"parallel_env needs PettingZoo: pip install -e '\.\[pettingzoo\]'"):
        parallel_env()


def test_there_is_no_state_before_the_first_reset():
    env = parallel_env("task-clustering-mini")
    with pytest.raises(ResetNeeded):
        env.state()
