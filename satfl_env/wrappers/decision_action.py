"""Actions that are numbers for a function of the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import gymnasium as gym
from gymnasium import spaces
from numpy.typing import NDArray

from satfl_env.envs.spaces import Action, Observation, action_to_decision, checked_array, decision_to_action
from satfl_env.simulation import Decision, NetworkState
from satfl_env.wrappers.native import native_sizes, network_state

ActionForm = Callable[[NDArray[Any], NetworkState], Decision]


class ReversibleForm(Protocol):
    """A form that can be imitated."""

    def __call__(self, values: NDArray[Any], state: NetworkState, /) -> Decision:
        """The decision that numbers stand for in a state."""

    def reverse(self, decision: Decision, state: NetworkState, /) -> NDArray[Any]:
        """The numbers nearest to a decision in a state."""


class DecisionAction(gym.ActionWrapper[Observation, NDArray[Any], Action]):
    """Actions of a form `(numbers, NetworkState) -> Decision`, which sees the simulation's own state.

    Args:
        env: `SatFLEnv`, or a wrapper of it with the native action space.
        form: The form.
        action_space: The numbers that it takes.

    Raises:
        TypeError: If the action space is not the native one.
    """

    def __init__(self, env: gym.Env[Observation, Action], form: ActionForm, action_space: spaces.Space[Any]) -> None:
        super().__init__(env)
        native_sizes(env)
        self.form = form
        self.action_space = action_space

    def action(self, action: NDArray[Any]) -> Action:
        """The native action.

        Raises:
            ValueError: If the numbers are outside the space.
        """
        state = network_state(self.env)
        return decision_to_action(self.form(checked_array("action", action, self.action_space), state), state)


class ReversibleAction(DecisionAction):
    """Actions of a form that can be imitated; arguments are those of `DecisionAction`."""

    form: ReversibleForm

    def reverse_action(self, action: Action) -> NDArray[Any]:
        """The numbers nearest to a native action in the current state."""
        state = network_state(self.env)
        native = self.env.action_space
        assert isinstance(native, spaces.Dict)
        return self.form.reverse(action_to_decision(action, native, state.cpu_max_hz), state)
