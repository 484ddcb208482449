"""Deciding in a given state through wrappers that were made for an environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium import spaces

from satfl_env.envs.spaces import (
    Action,
    BoolArray,
    Observation,
    ObservationWriter,
    action_to_decision,
    actions_of_size,
    association_mask,
)
from satfl_env.simulation import Decision, NetworkState


class ShownState:
    """Stands in the place of a simulation that has come to a state."""

    state: NetworkState


class OneDecision(gym.Env[Observation, Action]):
    """An environment in which nothing happens: it shows a state that is given and keeps the decision on it.

    In the wrappers that a learner was trained with, `reset` gives the observation of the state as the learner saw it,
    and `step` translates the learner's action, so a trained policy decides without an environment.

    Args:
        observation_space: The native observation space of the environment of training.
        action_space: Its native action space.

    Attributes:
        simulation: Its `state` is the one to decide in; set it before `reset`.
        decision: The decision of the last `step`.
    """

    observation_space: spaces.Dict
    action_space: spaces.Dict
    decision: Decision

    def __init__(self, observation_space: spaces.Dict, action_space: spaces.Dict) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.simulation = ShownState()
        self._write = ObservationWriter(observation_space)

    def resized(self, num_satellites: int, num_gateways: int) -> OneDecision:
        """The same for another number of satellites and gateways; its native observations show the round alone.

        That is enough for wrappers that see the state itself, and whose forms do not depend on these numbers.
        """
        rounds = spaces.Dict({"round": self.observation_space["round"]})
        return OneDecision(rounds, actions_of_size(num_satellites, num_gateways, self.action_space.spaces))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Show the state."""
        super().reset(seed=seed)
        return self._write(self.simulation.state), {}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Keep the decision that an action stands for.

        Raises:
            ValueError: If the action is outside the action space.
        """
        self.decision = action_to_decision(action, self.action_space, self.simulation.state.cpu_max_hz)
        return self._write(self.simulation.state), 0.0, False, False, {}

    def action_masks(self) -> dict[str, BoolArray]:
        """Which values of the discrete parts of the action make sense, as those of `SatFLEnv`."""
        return {"association": association_mask(self.simulation.state)}
