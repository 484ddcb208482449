from __future__ import annotations

import hashlib
import json
import pickle
import random
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3")
from safetensors.torch import load_file, save_file
from stable_baselines3.common.policies import BasePolicy

from satfl_agents.algorithms.algorithm import ALGORITHMS
from satfl_agents.forms.form import Form, wrapped
from satfl_agents.networks.network import Network
from satfl_agents.policies.files import WEIGHTS, PolicyDescription, load_policy, save_policy
from satfl_agents.policies.spaces import space_file, to_space
from satfl_env import SatFLEnv, decision_to_action
from tests.factories import physics_only

SCALED = Form(kind="scaled")
SMALL = Network(hidden=(8,))
CASES = {
    "ppo": (SCALED, Form(kind="box"), SMALL),
    "maskable-ppo": (Form(kind="sets"), Form(kind="discrete"), SMALL),
    "recurrent-ppo": (SCALED, Form(kind="box", num_clusters=2), Network(hidden=(8,), more={"lstm_hidden_size": 4})),
    "sac": (Form(kind="sets", similarities=False), Form(kind="rule"), Network(kind="sets", width=8, hidden=(8,))),
    "td3": (SCALED, Form(kind="box"), SMALL),
    "tqc": (SCALED, Form(kind="box"), SMALL),
}


@pytest.fixture(scope="module")
def env() -> SatFLEnv:
    return SatFLEnv(physics_only(4))


def untrained(env: SatFLEnv, algo: str) -> tuple[gym.Env[Any, Any], BasePolicy, PolicyDescription]:
    """The environment in the algorithm's forms, a network with random weights, and what is to be told of it."""
    observation, action, network = CASES[algo]
    outer = wrapped(env, observation, action)
    description = PolicyDescription.of(env, algo, observation, action, network)
    torch.manual_seed(3)
    made = ALGORITHMS[algo].policy_class(outer.observation_space, network)
    return outer, made(outer.observation_space, outer.action_space, lambda _: 0.0, **network.policy_kwargs), description


@pytest.mark.parametrize("algo", CASES)
def test_a_saved_policy_decides_as_the_network_acts_on_the_wrapped_environment(
    tmp_path: Path, env: SatFLEnv, algo: str
) -> None:
    outer, network, description = untrained(env, algo)
    save_policy(tmp_path, network, description)
    policy = load_policy(tmp_path)
    for seed in (1, 2):  # a recurrent policy starts the second episode afresh
        observation, _ = outer.reset(seed=seed)
        state, ended, start = None, False, True
        while not ended:
            masks = {"action_masks": outer.get_wrapper_attr("action_masks")()} if algo == "maskable-ppo" else {}
            numbers, state = network.predict(observation, state, np.array([start]), deterministic=True, **masks)
            seen = env.simulation.state
            decided = decision_to_action(policy(seen), seen)
            observation, _, _, ended, _ = outer.step(numbers)
            played = decision_to_action(env._last_round[1], seen)
            for key, value in played.items():
                np.testing.assert_array_equal(decided[key], value)
            start = False


def test_a_loaded_policy_can_be_sent_to_other_processes(tmp_path: Path, env: SatFLEnv) -> None:
    _, network, description = untrained(env, "ppo")
    save_policy(tmp_path, network, description)
    policy = load_policy(tmp_path)
    env.reset(seed=1)
    state = env.simulation.state
    there = pickle.loads(pickle.dumps(policy))
    np.testing.assert_array_equal(there(state).weights, policy(state).weights)


def test_what_only_learning_needs_is_not_saved(tmp_path: Path, env: SatFLEnv) -> None:
    for algo in ("ppo", "sac"):
        _, network, description = untrained(env, algo)
        save_policy(tmp_path / algo, network, description)
        numbers = sum(parameter.numel() for parameter in network.parameters())
        assert (tmp_path / algo / "weights.safetensors").stat().st_size < 4 * numbers


def test_loading_leaves_the_users_generators_alone(tmp_path: Path, env: SatFLEnv) -> None:
    _, network, description = untrained(env, "ppo")
    save_policy(tmp_path, network, description)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    env.reset(seed=1)
    load_policy(tmp_path)(env.simulation.state)
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda at: (at / "policy.json").write_text("{"), r"policy\.json' is damaged"),
        (lambda at: change(at / "policy.json", format=2), r"policy\.json' is damaged \(format: Input should be 1"),
        (lambda at: change(at / "policy.json", algorithm="pop"), "unknown algorithm 'pop', did you mean 'ppo'"),
        (lambda at: change(at / "policy.json", action={"kind": "bax"}), "no form 'bax', did you mean 'box'"),
        (lambda at: change(at / "policy.json", action={"kind": "box", "colour": 1}), "unexpected keyword.*'colour'"),
        (
            lambda at: change(at / "policy.json", network={"hidden": [9]}),
            r"weights .* are .*, the network needs",
        ),
        (lambda at: (at / "weights.safetensors").write_bytes(b"x"), r"weights.*damaged .it does not belong"),
        (lambda at: (at / "weights.safetensors").unlink(), r"No such file.*weights\.safetensors"),
    ],
)
def test_files_that_are_not_those_of_a_policy_are_told_in_a_line(
    tmp_path: Path, env: SatFLEnv, spoil: Any, message: str
) -> None:
    _, network, description = untrained(env, "ppo")
    save_policy(tmp_path, network, description)
    spoil(tmp_path)
    with pytest.raises((ValueError, OSError), match=message) as raised:
        load_policy(tmp_path)
    assert "\n" not in str(raised.value)


def test_weights_that_are_not_finite_are_told(tmp_path: Path, env: SatFLEnv) -> None:
    _, network, description = untrained(env, "ppo")
    with torch.no_grad():
        next(network.parameters()).fill_(np.nan)
    save_policy(tmp_path, network, description)
    with pytest.raises(ValueError, match=r"weights '.*' are not all finite"):
        load_policy(tmp_path)


def test_weights_of_another_type_are_refused_and_named(tmp_path: Path, env: SatFLEnv) -> None:
    _, network, description = untrained(env, "ppo")
    save_policy(tmp_path, network, description)
    weights = load_file(tmp_path / WEIGHTS)
    weights["action_net.bias"] = weights["action_net.bias"].double()
    save_file(weights, tmp_path / WEIGHTS)
    change(tmp_path / "policy.json", weights=hashlib.sha256((tmp_path / WEIGHTS).read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=r"'action_net\.bias' are .* of float64, the network needs .* of float32"):
        load_policy(tmp_path)


def test_policies_that_are_not_there_are_told() -> None:
    with pytest.raises(ValueError, match=r"there is no trained policy 'leo': neither a folder with policy\.json"):
        load_policy("leo")


FEWER = {"constellation.circles": [{"radius_m": 1.2e6, "satellites": 3}]}


def test_networks_for_sets_serve_other_constellations_and_others_refuse_them(tmp_path: Path, env: SatFLEnv) -> None:
    for algo in ("ppo", "sac"):
        _, network, description = untrained(env, algo)
        save_policy(tmp_path / algo, network, description)
    other = SatFLEnv(physics_only(4, **FEWER))
    other.reset(seed=1)
    seen = other.simulation.state
    flat, sets = (load_policy(tmp_path / algo) for algo in ("ppo", "sac"))
    with pytest.raises(ValueError, match="trained for 10 satellites and 3 gateways and does not serve 3 and 3"):
        flat(seen)
    decided = decision_to_action(sets(seen), seen)

    # A twin: the same weights in a network that was made for the other constellation.
    observation, action, network_form = CASES["sac"]
    outer = wrapped(other, observation, action)
    twin = ALGORITHMS["sac"].policy_class(outer.observation_space, network_form)(
        outer.observation_space, outer.action_space, lambda _: 0.0, **network_form.policy_kwargs
    )
    twin.load_state_dict(network.state_dict())
    shown, _ = outer.reset(seed=1)
    outer.step(twin.predict(shown, deterministic=True)[0])
    for key, value in decision_to_action(other._last_round[1], seen).items():
        np.testing.assert_array_equal(decided[key], value)
    env.reset(seed=1)
    assert sets(env.simulation.state).association.shape == (10,)


@pytest.mark.parametrize("name", ["leo-multitask", "walker-earth"])
def test_native_spaces_are_the_same_after_a_file(name: str) -> None:
    env = SatFLEnv(name)
    for space in (env.observation_space, env.action_space):
        assert to_space(space_file(space)) == space
