from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3")
from satfl_agents.algorithms.algorithm import ALGORITHMS
from satfl_agents.forms.form import Form, wrapped
from satfl_agents.networks.network import Network
from satfl_agents.policies.files import PolicyDescription, load_policy, save_policy
from satfl_env import SatFLEnv, decision_to_action
from tests.factories import physics_only

SETS = Form(kind="sets")
POOLED, HEADS = Network(kind="sets", hidden=(8,), width=8), Network(kind="heads", width=8)
REMEMBERING = Network(kind="sets", hidden=(8,), width=8, more={"lstm_hidden_size": 4})
CASES = {
    "ppo-choices": ("ppo", Form(kind="per-satellite"), HEADS),
    "ppo-numbers": ("ppo", Form(kind="per-satellite-box"), HEADS),
    "maskable-ppo": ("maskable-ppo", Form(kind="per-satellite"), HEADS),
    "cem-priority": ("cem", Form(kind="priority", charge="shares"), Network(kind="linear", width=8)),
    "ppo-rule": ("ppo", Form(kind="rule"), POOLED),
    "sac-rule": ("sac", Form(kind="rule"), POOLED),
    "recurrent-ppo-rule": ("recurrent-ppo", Form(kind="rule"), REMEMBERING),
}
OTHER = {
    "constellation.circles": [{"radius_m": 1.2e6, "satellites": 5}, {"radius_m": 1.7e6, "satellites": 2}],
    "constellation.gateways_m": [[0, 0], [1e6, 0], [0, 1e6], [1e6, 1e6], [2e6, 2e6]],
}


def made(env: SatFLEnv, algo: str, action: Form, network: Network) -> tuple[Any, Any]:
    """An environment in its forms, and an untrained network for it."""
    outer = wrapped(env, SETS, action)
    policy = ALGORITHMS[algo].policy_class(outer.observation_space, network)
    return outer, policy(outer.observation_space, outer.action_space, lambda _: 0.0, **network.policy_kwargs)


@pytest.mark.parametrize(("algo", "action", "network"), CASES.values(), ids=CASES)
def test_a_policy_decides_for_other_numbers_as_its_network_does_there(
    tmp_path: Path, algo: str, action: Form, network: Network
) -> None:
    trained, other = SatFLEnv(physics_only(3)), SatFLEnv(physics_only(3, **OTHER))
    torch.manual_seed(5)
    _, first = made(trained, algo, action, network)
    save_policy(tmp_path, first, PolicyDescription.of(trained, algo, SETS, action, network))
    policy = pickle.loads(pickle.dumps(load_policy(tmp_path)))
    outer, there = made(other, algo, action, network)
    there.load_state_dict(first.state_dict())
    observation, _ = outer.reset(seed=2)
    memory, start = None, True
    for _ in range(2):
        masks = {"action_masks": outer.get_wrapper_attr("action_masks")()} if algo == "maskable-ppo" else {}
        numbers, memory = there.predict(observation, memory, np.array([start]), deterministic=True, **masks)
        state = other.simulation.state
        assert (state.num_satellites, state.num_gateways) == (7, 5)
        decided = decision_to_action(policy(state), state)
        observation, *_ = outer.step(numbers)
        for key, value in decision_to_action(other._last_round[1], state).items():
            np.testing.assert_array_equal(decided[key], value)
        start = False
    # And still for those of training.
    trained.reset(seed=1)
    assert len(policy(trained.simulation.state).weights) == 10


def test_networks_that_do_not_fit_are_refused() -> None:
    env = SatFLEnv(physics_only(3))
    with pytest.raises(ValueError, match=r"networks of kind 'heads' are for cem, ppo, maskable-ppo, got sac$"):
        made(env, "sac", Form(kind="per-satellite-box"), HEADS)
    with pytest.raises(ValueError, match="the same parts for each of 10 satellites"):
        made(env, "ppo", Form(kind="rule"), HEADS)
    flat = wrapped(env, Form(kind="scaled"), Form(kind="rule"))
    policy = ALGORITHMS["ppo"].policy_class(flat.observation_space, POOLED)
    with pytest.raises(ValueError, match="need observations as SetObservation gives them"):
        policy(flat.observation_space, flat.action_space, lambda _: 0.0, **POOLED.policy_kwargs)
