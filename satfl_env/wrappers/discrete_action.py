"""The whole action as independent discrete choices, with masks."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from satfl_env.arguments import checked_integer
from satfl_env.envs.spaces import Action, Observation, checked_array
from satfl_env.wrappers.native import (
    DEFAULT_NUM_CLUSTERS,
    association_mask,
    native_sizes,
    places,
    relabelled,
    timing_choices,
)


class DiscreteAction(gym.ActionWrapper[Observation, NDArray[np.int64], Action], RecordConstructorArgs):
    """One `MultiDiscrete` for the whole action, for algorithms with discrete and masked actions.

    Its parts in order, for `S` satellites and `G` gateways:

    | Length | Choices            | Part                                                                |
    |--------|--------------------|---------------------------------------------------------------------|
    | `S`    | `G + 1`            | association; the last sits out                                      |
    | `S`    | `frequency_levels` | CPU frequency, in equal steps up to the highest; never stopped      |
    | `S`    | `num_clusters`     | cluster label                                                       |
    | `S`    | `weight_levels`    | weight, in equal steps from 0 to 1                                  |
    | `G`    | `weight_levels`    | gateway weight, in equal steps from 0 to 1                          |
    | `G+1`  | 3                  | when to aggregate, where that is decided                            |

    Where the action has a part `bandwidth`, it is left out: shares are equal.

    Args:
        env: An environment with the native action space.
        frequency_levels: Number of CPU frequencies, at least 1.
        num_clusters: Cluster labels to choose from, in 1..S.
        weight_levels: Number of weights, at least 2.

    Raises:
        TypeError: If the action space is not the native one, or an argument is no integer.
        ValueError: If a number of choices is out of range.
    """

    def __init__(
        self,
        env: gym.Env[Observation, Action],
        frequency_levels: int = 10,
        num_clusters: int = DEFAULT_NUM_CLUSTERS,
        weight_levels: int = 4,
    ) -> None:
        RecordConstructorArgs.__init__(
            self, frequency_levels=frequency_levels, num_clusters=num_clusters, weight_levels=weight_levels
        )
        super().__init__(env)
        satellites, gateways = native_sizes(env)
        self._num_clusters = checked_integer("num_clusters", num_clusters, 1, satellites)
        checked_integer("frequency_levels", frequency_levels, 1)
        checked_integer("weight_levels", weight_levels, 2)
        self._frequencies = np.arange(1, frequency_levels + 1) / frequency_levels
        self._weights = np.linspace(0.0, 1.0, weight_levels)
        timing = timing_choices(env)
        lengths = [satellites, satellites, satellites, satellites, gateways]
        choices = np.repeat([gateways + 1, frequency_levels, num_clusters, weight_levels, weight_levels], lengths)
        choices = np.concatenate([choices, timing])
        self._num_choices = int(choices.sum())
        self.action_space = spaces.MultiDiscrete(choices)
        self._places = places([*lengths, timing.size])

    def action(self, action: NDArray[np.int64]) -> Action:
        """The native action.

        Raises:
            ValueError: If the action is outside the space.
        """
        flat = checked_array("action", action, self.action_space)
        association, frequency, cluster, weights, gateway_weights, timing = (flat[place] for place in self._places)
        return {
            "association": association,
            "cpu_frequency": self._frequencies[frequency],
            "cluster": cluster,
            "weights": self._weights[weights],
            "gateway_weights": self._weights[gateway_weights],
            **({"aggregate": timing} if timing.size else {}),
        }

    def reverse_action(self, action: Action) -> NDArray[np.int64]:
        """The choices nearest to a native action, for imitation.

        Clusters are those of `action`, with labels of their own; see `relabelled`.
        """
        parts = (
            action["association"],
            _nearest(action["cpu_frequency"], self._frequencies),
            relabelled(action["cluster"], self._num_clusters),
            _nearest(action["weights"], self._weights),
            _nearest(action["gateway_weights"], self._weights),
            *([action["aggregate"]] if "aggregate" in action else []),
        )
        return np.concatenate(parts).astype(np.int64)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices make sense now: one entry per choice of each part in turn, as sb3-contrib wants them."""
        association = association_mask(self.env).ravel()
        return np.concatenate([association, np.ones(self._num_choices - association.size, dtype=np.bool_)])


def _nearest(values: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.int64]:
    """The level nearest to each value."""
    nearest: NDArray[np.int64] = np.abs(np.asarray(values)[:, None] - levels).argmin(axis=1)
    return nearest
