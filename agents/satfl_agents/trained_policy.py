"""Trained networks as policies, `NetworkState -> Decision`."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import BasePolicy

from satfl_agents.forms import Form, wrapped
from satfl_agents.surroundings import one_thread
from satfl_env import Decision, NetworkState
from satfl_env.wrappers import OneDecision


class TrainedPolicy:
    """A network that decides as it was trained: it sees and acts through the same forms, and does not explore.

    A recurrent network remembers the rounds of an episode, and forgets them where `state.round` is 0.

    Args:
        network: The policy of a learner.
        observation: The form in which it sees the network's state.
        action: The form of its decisions.
        observation_space: The native observation space in training.
        action_space: The native action space in training.
    """

    def __init__(
        self,
        network: BasePolicy,
        observation: Form,
        action: Form,
        observation_space: spaces.Dict,
        action_space: spaces.Dict,
    ) -> None:
        self._network = network
        self._native = OneDecision(observation_space, action_space)
        self._env = wrapped(self._native, observation, action)
        self._memory: Any = None

    def __call__(self, state: NetworkState) -> Decision:
        """Decide on the round that is about to begin.

        Raises:
            ValueError: If the network was trained for other numbers of satellites and gateways.
        """
        self._require_size(state)
        self._native.simulation.state = state
        observation, _ = self._env.reset()
        first = state.round == 0
        with one_thread():
            numbers, self._memory = self._network.predict(
                observation, None if first else self._memory, np.array([first]), deterministic=True, **self._masks()
            )
        self._env.step(numbers)
        return self._native.decision

    def _masks(self) -> dict[str, Any]:
        """The masks of choices, for networks that are told."""
        if not isinstance(self._network, MaskableActorCriticPolicy):
            return {}
        return {"action_masks": self._env.get_wrapper_attr("action_masks")()}

    def _require_size(self, state: NetworkState) -> None:
        parts = self._native.action_space
        trained = spaces.flatdim(parts["weights"]), spaces.flatdim(parts["gateway_weights"])
        if (state.num_satellites, state.num_gateways) != trained:
            raise ValueError(
                f"the policy was trained for {trained[0]} satellites and {trained[1]} gateways, "
                f"got {state.num_satellites} and {state.num_gateways}"
            )
