from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array
from sb3_contrib import TQC, MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO, SAC, TD3

from satfl_agents.envs.vec_env import SatFLVecEnv
from satfl_agents.forms.per_satellite import PerSatelliteAction, PerSatelliteBoxAction
from satfl_agents.forms.rule_action import RuleAction
from satfl_agents.networks.linear_scores import LinearScores
from satfl_agents.networks.set_networks import SatelliteHeads, SetEncoder, further_choices
from satfl_agents.networks.set_policies import LinearPolicy, MaskableSetPolicy, SetFeatures, SetPolicy
from satfl_baselines import make_policy
from satfl_env import SatFLEnv, decision_to_action
from satfl_env.wrappers import SetObservation
from tests.factories import physics_only

FEATURES = {"satellite": 6, "pair": 4, "globals": 3}


def sets(satellites: int, gateways: int) -> spaces.Dict:
    shapes = {
        "satellite": (satellites, FEATURES["satellite"]),
        "pair": (satellites, gateways, FEATURES["pair"]),
        "globals": (FEATURES["globals"],),
    }
    return spaces.Dict({key: spaces.Box(-5.0, 5.0, shape, np.float32) for key, shape in shapes.items()})


def choices(satellites: int, gateways: int) -> spaces.MultiDiscrete:
    return spaces.MultiDiscrete(np.repeat([gateways + 1, 4, 3, 4], satellites))


def numbers(satellites: int, gateways: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (satellites * (gateways + 4),), np.float32)


def priorities(satellites: int, gateways: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (satellites * (gateways + 1) + 2,), np.float32)


def drawn(space: spaces.Dict, seed: int = 0, count: int = 2) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return {
        key: torch.as_tensor(rng.normal(size=(count, *part.shape)), dtype=torch.float32) for key, part in space.items()
    }


@pytest.mark.parametrize(
    ("made", "actions"),
    [(SetPolicy, choices), (SetPolicy, numbers), (MaskableSetPolicy, choices), (LinearPolicy, priorities)],
)
def test_weights_of_ten_satellites_serve_sixteen(made, actions):
    few, many = (made(sets(*size), actions(*size), lambda _: 1e-3, width=8) for size in ((10, 3), (16, 5)))
    many.load_state_dict(few.state_dict())
    seen = drawn(sets(16, 5))
    action, value, _ = many(seen, deterministic=True)
    assert action.shape == (2, *actions(16, 5).shape)
    assert value.shape == (2, 1)
    with torch.no_grad():
        for name, parameter in many.named_parameters():
            assert parameter.shape == dict(few.named_parameters())[name].shape
    optimised = {id(parameter) for group in few.optimizer.param_groups for parameter in group["params"]}
    assert optimised == {id(parameter) for parameter in few.parameters()}


def test_exploration_is_as_wide_for_every_satellite():
    policy = SetPolicy(sets(4, 2), numbers(4, 2), lambda _: 1e-3, width=8)
    with torch.no_grad():
        policy.log_std.copy_(torch.arange(4.0))
    spread = policy.get_distribution(drawn(sets(4, 2))).distribution.stddev[0].log()
    assert spread.round().tolist() == [0.0] * 12 + [1.0] * 4 + [2.0] * 4 + [3.0] * 4


def test_heads_follow_the_order_of_satellites_and_gateways():
    satellites, gateways = 5, 3
    space, rng = sets(satellites, gateways), np.random.default_rng(0)
    network = SatelliteHeads(space, (4, 3), 8, torch.nn.Tanh)
    seen, order, turn = drawn(space), rng.permutation(satellites), rng.permutation(gateways)
    other = {
        "satellite": seen["satellite"][:, order],
        "pair": seen["pair"][:, order][:, :, turn],
        "globals": seen["globals"],
    }
    lengths = [satellites * (gateways + 1), satellites * 4, satellites * 3]
    parts, turned = (
        [part.reshape(2, satellites, -1) for part in network(each).split(lengths, dim=1)] for each in (seen, other)
    )
    columns = [*turn, gateways]
    torch.testing.assert_close(turned[0], parts[0][:, order][:, :, columns], atol=1e-6, rtol=1e-5)
    for part, again in zip(parts[1:], turned[1:], strict=True):
        torch.testing.assert_close(again, part[:, order], atol=1e-6, rtol=1e-5)


def test_features_do_not_depend_on_how_often_a_satellite_is_there():
    encoder = SetEncoder(sets(2, 1), 8, torch.nn.Tanh)
    seen = drawn(sets(2, 1))
    twice = {key: part if key == "globals" else torch.cat([part, part], dim=1) for key, part in seen.items()}
    torch.testing.assert_close(encoder(twice).whole, encoder(seen).whole)


def test_numbers_and_choices_of_each_satellite_are_read_from_the_spaces():
    assert further_choices(sets(10, 3), choices(10, 3)) == (4, 3, 4)
    assert further_choices(sets(10, 3), numbers(10, 3)) == (1, 1, 1)
    for other in (spaces.MultiDiscrete([5] * 40), spaces.Box(-1.0, 1.0, (5,)), spaces.MultiDiscrete([4] * 11)):
        with pytest.raises(ValueError, match="the same parts for each of 10 satellites"):
            further_choices(sets(10, 3), other)


SETS = {"features_extractor_class": SetFeatures, "features_extractor_kwargs": {"width": 8}, "net_arch": [8]}
ROLLOUT = {"n_steps": 4, "batch_size": 4, "n_epochs": 1}
REPLAY = {"learning_starts": 2, "batch_size": 4, "buffer_size": 20}
LEARNERS = {
    "ppo-choices": (PPO, SetPolicy, PerSatelliteAction, {"width": 8}, ROLLOUT),
    "ppo-numbers": (PPO, SetPolicy, PerSatelliteBoxAction, {"width": 8, "log_std_init": -1.0}, ROLLOUT),
    "maskable-ppo": (MaskablePPO, MaskableSetPolicy, PerSatelliteAction, {"width": 8}, ROLLOUT),
    "ppo-rule": (PPO, "MultiInputPolicy", RuleAction, SETS, ROLLOUT),
    "recurrent-ppo-rule": (RecurrentPPO, "MultiInputLstmPolicy", RuleAction, {**SETS, "lstm_hidden_size": 4}, ROLLOUT),
    "sac-rule": (SAC, "MultiInputPolicy", RuleAction, SETS, REPLAY),
    "td3-rule": (TD3, "MultiInputPolicy", RuleAction, SETS, REPLAY),
    "tqc-rule": (TQC, "MultiInputPolicy", RuleAction, SETS, REPLAY),
}


def forms(env: gym.Env[Any, Any], action: Any) -> gym.Env[Any, Any]:
    return SetObservation(action(env))


@pytest.mark.parametrize(("learner", "policy", "action", "network", "settings"), LEARNERS.values(), ids=LEARNERS)
def test_algorithms_learn_with_them(learner, policy, action, network, settings):
    envs = SatFLVecEnv(2, partial(forms, action=action), scenario=physics_only(4))
    model = learner(policy, envs, seed=0, device="cpu", policy_kwargs=dict(network), **settings)
    before = {name: value.clone() for name, value in model.policy.named_parameters()}
    model.learn(8)
    changed = [name for name, value in model.policy.named_parameters() if not torch.equal(value, before[name])]
    assert any("encoder" in name for name in changed)
    if learner is MaskablePPO or action is PerSatelliteBoxAction:
        assert any(name.endswith("gateway_head.weight") for name in changed)
    envs.close()


def shown(env: gym.Env[Any, Any], seeds: range) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What a learner sees in episodes of the policy `full`, and what it would have to choose."""
    native, full = env.unwrapped, make_policy("full")
    assert isinstance(native, SatFLEnv)
    observations, actions = [], []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            state = native.simulation.state
            actions.append(env.get_wrapper_attr("reverse_action")(decision_to_action(full(state), state)))
            observations.append(observation)
            observation, _, _, ended, _ = env.step(actions[-1])
    batch = concatenate(env.observation_space, observations, create_empty_array(env.observation_space, len(actions)))
    return {key: torch.as_tensor(part) for key, part in batch.items()}, torch.as_tensor(np.stack(actions))


def test_heads_that_imitate_full_choose_its_gateways_paces_and_clusters():
    env = forms(SatFLEnv(physics_only(10)), PerSatelliteAction)
    torch.manual_seed(0)
    policy = SetPolicy(env.observation_space, env.action_space, lambda _: 1e-2, width=32)
    seen, chosen = shown(env, range(6))
    for _ in range(80):
        _, log_probability, _ = policy.evaluate_actions(seen, chosen)
        policy.optimizer.zero_grad()
        (-log_probability.mean()).backward()
        policy.optimizer.step()
    unseen, right = shown(env, range(100, 104))
    guess = policy._predict(unseen, deterministic=True)
    torch.testing.assert_close(guess[:, :30], right[:, :30])


def test_linear_scores_are_weighted_sums_and_zero_at_first():
    space = sets(3, 2)
    network, seen = LinearScores(space, priorities(3, 2)), drawn(space, count=1)
    assert not network(seen).any()
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    pair, satellite, whole = (seen[key][0].numpy() for key in ("pair", "satellite", "globals"))
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    of_pair, of_satellite = np.split(weights["priority.weight"][0], [4])
    expected = [pair[s, g] @ of_pair + satellite[s] @ of_satellite for s in range(3) for g in range(2)]
    for s in range(3):
        row = np.concatenate([satellite[s], pair[s].max(axis=0), whole])
        expected.append(weights["charge.weight"][0] @ row + weights["charge.bias"][0])
    expected += (weights["rule.weight"] @ whole + weights["rule.bias"]).tolist()
    np.testing.assert_allclose(network(seen)[0].detach().numpy(), np.tanh(expected), rtol=1e-5)


def test_linear_networks_are_for_priorities():
    with pytest.raises(
        ValueError, match="linear networks are for the actions of PriorityAction with 3 satellites and 2"
    ):
        LinearScores(sets(3, 2), spaces.Box(-1.0, 1.0, (9,), np.float32))
