"""Behaviour cloning: a network learns a reference policy's decisions before it learns by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.vector.utils import concatenate, create_empty_array
from numpy.typing import NDArray
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.td3.policies import TD3Policy

from satfl_agents.envs.observations import rows
from satfl_agents.forms.form import AnyEnv, wrapped
from satfl_agents.hyperparameters.sections import Cloning, Hyperparameters
from satfl_baselines import make_policy
from satfl_baselines.seeds import TRAINING
from satfl_env import SatFLEnv, decision_to_action
from satfl_env.scenarios import Scenario


def clone(
    learner: BaseAlgorithm,
    scenario: Scenario,
    settings: Hyperparameters,
    seed: int,
    parts: Mapping[str, Any] | None = None,
) -> tuple[float, float]:
    """Let the network of a learner imitate a reference policy.

    Continuous actions are drawn nearer in the mean square, discrete ones made more likely.

    Args:
        learner: The learner.
        scenario: The scenario in which the policy is shown.
        settings: The forms, and how to imitate.
        seed: Of the order of decisions.
        parts: Own parts of the scenario.

    Returns:
        The mean loss in the first pass and in the last one.

    Raises:
        ValueError: If there is no such policy, the form of the actions cannot be imitated, or the network is recurrent.
    """
    env = wrapped(SatFLEnv(scenario, parts=parts), settings.observation, settings.action)
    policy = learner.policy
    if isinstance(policy, RecurrentActorCriticPolicy):
        raise ValueError("hyperparameter clone.policy: recurrent networks cannot be cloned into")
    observations, actions = _shown(env, settings.clone)
    rng = np.random.default_rng(seed)
    # How far to explore is not shown.
    shown = [value for name, value in policy.named_parameters() if name != "log_std"]
    optimizer = torch.optim.Adam(shown, settings.clone.learning_rate)
    policy.set_training_mode(True)
    losses = [
        _pass(policy, optimizer, observations, actions, rng, settings.clone.batch_size)
        for _ in range(settings.clone.epochs)
    ]
    if isinstance(policy, TD3Policy):
        policy.actor_target.load_state_dict(policy.actor.state_dict())
    return losses[0], losses[-1]


def _shown(env: AnyEnv, cloning: Cloning) -> tuple[Any, NDArray[Any]]:
    """Observations and actions of the policy's episodes, as the learner sees and makes them."""
    try:
        reverse = env.get_wrapper_attr("reverse_action")
    except AttributeError as error:
        raise ValueError("hyperparameter clone.policy: this form of actions cannot be imitated") from error
    native = env.unwrapped
    assert isinstance(native, SatFLEnv)
    observations, actions = [], []
    for seed in TRAINING[: cloning.episodes]:
        policy = make_policy(cloning.policy, seed)
        observation, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            state = native.simulation.state
            action = reverse(decision_to_action(policy(state), state))
            observations.append(observation)
            actions.append(action)
            observation, _, terminated, truncated, _ = env.step(action)
            ended = terminated or truncated
    space = env.observation_space
    empty: Any = create_empty_array(space, len(observations))
    return concatenate(space, observations, empty), np.stack(actions)


def _pass(
    policy: BasePolicy,
    optimizer: torch.optim.Optimizer,
    observations: Any,
    actions: NDArray[Any],
    rng: np.random.Generator,
    batch_size: int,
) -> float:
    """One pass over the decisions; returns the mean loss."""
    order, total = rng.permutation(len(actions)), 0.0
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        loss = _loss(policy, obs_as_tensor(rows(observations, chosen), policy.device), torch.as_tensor(actions[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(order)


def _loss(policy: BasePolicy, observations: Any, actions: torch.Tensor) -> torch.Tensor:
    if isinstance(policy, ActorCriticPolicy | MaskableActorCriticPolicy) and not torch.is_floating_point(actions):
        _, log_probability, _ = policy.evaluate_actions(observations, actions)
        return -log_probability.mean()
    if isinstance(policy, ActorCriticPolicy):
        deciding = policy.get_distribution(observations).mode()
    else:
        deciding = policy(observations, deterministic=True)
    return torch.nn.functional.mse_loss(deciding, actions)
