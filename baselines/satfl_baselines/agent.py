"""Policies as agents of the environment: from observations to actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from satfl_env import Decision, NetworkState, decision_to_action, observation_to_state

Observation = Mapping[str, Any]
Action = dict[str, Any]


def as_agent(policy: Callable[[NetworkState], Decision]) -> Callable[[Any], Any]:
    """Let a policy act on the environment, or on several at once.

    Args:
        policy: Any function from states to decisions.

    Returns:
        A function from an observation of `SatFL-v0` to its action; from the batched observation of a vector
        environment, with a leading axis, to the batched action; and from a list of observations to a list of actions.
        In a batch the policy decides for one environment after the other. It raises `ValueError` for an observation
        without `round`, which tells a batch from a single one.
    """

    def act(observation: Observation | Sequence[Observation]) -> Action | list[Action]:
        if not isinstance(observation, Mapping):
            return [_act_on_one(policy, single) for single in observation]
        if "round" not in observation:
            raise ValueError(f"the observation must have the part 'round', got {sorted(observation)}")
        if np.ndim(observation["round"]) == 1:
            return _act_on_one(policy, observation)
        batch = range(len(observation["round"]))
        actions = [_act_on_one(policy, {key: values[index] for key, values in observation.items()}) for index in batch]
        return {key: np.stack([action[key] for action in actions]) for key in actions[0]}

    return act


def _act_on_one(policy: Callable[[NetworkState], Decision], observation: Observation) -> Action:
    state = observation_to_state(observation)
    return decision_to_action(policy(state), state)
