"""The whole action in one box."""

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
    native_parts,
    native_sizes,
    places,
    relabelled,
    timing_choices,
)

_FRACTIONS = ("cpu_frequency", "weights", "gateway_weights", "bandwidth")


class BoxAction(gym.ActionWrapper[Observation, NDArray[np.float32], Action], RecordConstructorArgs):
    """One `Box(-1, 1)` for the whole action, for algorithms with continuous actions.

    Its parts in order, for `S` satellites, `G` gateways and `K` cluster labels:

    | Length        | Part                                                                               |
    |---------------|------------------------------------------------------------------------------------|
    | `S * (G + 1)` | association scores; the highest among visible gateways and sitting out (last) wins |
    | `S * K`       | cluster scores; the highest wins                                                   |
    | `S`           | CPU frequency, from -1 (stopped) to 1 (highest)                                    |
    | `S`           | weights, from -1 (zero) to 1                                                       |
    | `G`           | gateway weights, from -1 (zero) to 1                                               |
    | `S`           | bandwidth, from -1 (none) to 1, where it is a part of the action                   |
    | `3 * (G + 1)` | scores of when to aggregate, where that is decided; the highest wins               |

    Args:
        env: An environment with the native action space.
        num_clusters: Cluster labels to choose from, `K`, in 1..S.

    Raises:
        TypeError: If the action space is not the native one, or an argument is no integer.
        ValueError: If `num_clusters` is out of range.
    """

    def __init__(self, env: gym.Env[Observation, Action], num_clusters: int = DEFAULT_NUM_CLUSTERS) -> None:
        RecordConstructorArgs.__init__(self, num_clusters=num_clusters)
        super().__init__(env)
        satellites, gateways = native_sizes(env)
        self.num_clusters = checked_integer("num_clusters", num_clusters, 1, satellites)
        native, timing = native_parts(env), timing_choices(env)
        self._fractions = [name for name in _FRACTIONS if name in native]
        self._timing_shape = (len(timing), timing.max(initial=0))
        sizes = (spaces.flatdim(native[name]) for name in self._fractions)
        lengths = [satellites * (gateways + 1), satellites * num_clusters, *sizes, int(timing.sum())]
        self._places = places(lengths)
        self.action_space = spaces.Box(-1.0, 1.0, (sum(lengths),), np.float32)

    def action(self, action: NDArray[np.float32]) -> Action:
        """The native action.

        Raises:
            ValueError: If the action is outside the box.
        """
        flat = checked_array("action", action, self.action_space).astype(np.float64)
        association, cluster, *fractions, timing = (flat[place] for place in self._places)
        mask = association_mask(self.env)
        scores = np.where(mask, association.reshape(mask.shape), -np.inf)
        return {
            "association": scores.argmax(axis=1),
            "cluster": cluster.reshape(-1, self.num_clusters).argmax(axis=1),
            **{name: (part + 1.0) / 2.0 for name, part in zip(self._fractions, fractions, strict=True)},
            **({"aggregate": timing.reshape(self._timing_shape).argmax(axis=1)} if timing.size else {}),
        }

    def reverse_action(self, action: Action) -> NDArray[np.float32]:
        """Numbers of the box that stand for a native action, for imitation: 1 for what is chosen and -1 for the rest.

        Clusters are those of `action`, with labels of their own; see `relabelled`.
        """
        _, gateways = native_sizes(self.env)
        timing = [_scores(action["aggregate"], self._timing_shape[1])] if self._timing_shape[1] else []
        parts = (
            _scores(action["association"], gateways + 1),
            _scores(relabelled(action["cluster"], self.num_clusters), self.num_clusters),
            *(2.0 * np.asarray(action[name]) - 1.0 for name in self._fractions),
            *timing,
        )
        return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


def _scores(chosen: NDArray[np.int64], choices: int) -> NDArray[np.float64]:
    """Scores whose highest is the chosen one, (len(chosen), choices)."""
    return np.where(np.asarray(chosen)[:, None] == np.arange(choices), 1.0, -1.0)
