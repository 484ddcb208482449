"""Trained networks as policies, `NetworkState -> Decision`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import BasePolicy

from satfl_agents.forms.form import Form, wrapped
from satfl_agents.surroundings import one_thread
from satfl_env import Decision, NetworkState
from satfl_env.counted import counted
from satfl_env.wrappers import OneDecision
from satfl_env.wrappers.native import native_sizes

# Makes the network for an observation and an action space; raises `ValueError` if its weights do not fit them.
MakeNetwork = Callable[[spaces.Space[Any], spaces.Space[Any]], BasePolicy]


class TrainedPolicy:
    """A network that decides as it was trained: it sees and acts through the same forms, and does not explore.

    Where forms and weights do not depend on the numbers of satellites and gateways, it serves any. A recurrent network
    remembers the rounds of an episode, and forgets them where `state.round` is 0.

    Args:
        make_network: Gives the network for the spaces of its forms.
        observation: The form in which it sees the network's state.
        action: The form of its decisions.
        observation_space: The native observation space in training.
        action_space: The native action space in training.

    Raises:
        ValueError: If a setting of a form is out of range, or the network does not fit.
        TypeError: If a form has no such setting.
    """

    def __init__(
        self,
        make_network: MakeNetwork,
        observation: Form,
        action: Form,
        observation_space: spaces.Dict,
        action_space: spaces.Dict,
    ) -> None:
        self._make_network, self._observation, self._action = make_network, observation, action
        native = OneDecision(observation_space, action_space)
        self._trained_for = native_sizes(native)
        self._memory: Any = None
        self._take_up(native)

    def __call__(self, state: NetworkState) -> Decision:
        """Decide on the round that is about to begin.

        Raises:
            ValueError: If the network serves only other numbers of satellites and gateways.
        """
        if (state.num_satellites, state.num_gateways) != native_sizes(self._native):
            self._resize(state.num_satellites, state.num_gateways)
        self._native.simulation.state = state
        observation, _ = self._env.reset()
        first = state.round == 0
        with one_thread():
            numbers, self._memory = self._network.predict(
                observation, None if first else self._memory, np.array([first]), deterministic=True, **self._masks()
            )
        self._env.step(numbers)
        return self._native.decision

    def _take_up(self, native: OneDecision) -> None:
        """Decide on what an environment shows from now on."""
        env = wrapped(native, self._observation, self._action)
        self._network = self._make_network(env.observation_space, env.action_space)
        self._native, self._env = native, env

    def _resize(self, num_satellites: int, num_gateways: int) -> None:
        try:
            self._take_up(self._native.resized(num_satellites, num_gateways))
        except ValueError as error:
            satellites, gateways = self._trained_for
            raise ValueError(
                f"the policy was trained for {counted(satellites, 'satellite')} and {counted(gateways, 'gateway')} and "
                f"does not serve {num_satellites} and {num_gateways}: {error}"
            ) from error

    def _masks(self) -> dict[str, Any]:
        """The masks of choices, for networks that are told."""
        if not isinstance(self._network, MaskableActorCriticPolicy):
            return {}
        return {"action_masks": self._env.get_wrapper_attr("action_masks")()}
