"""What the action wrappers read from the environment inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from satfl_env.simulation import NetworkState

DEFAULT_NUM_CLUSTERS = 3


def native_sizes(env: gym.Env[Any, Any]) -> tuple[int, int]:
    """Numbers of satellites and gateways, S and G, of an environment with the native action space.

    Raises:
        TypeError: If it has another action space.
    """
    parts = native_parts(env)
    return spaces.flatdim(parts["weights"]), spaces.flatdim(parts["gateway_weights"])


def native_parts(env: gym.Env[Any, Any]) -> Mapping[str, spaces.Space[Any]]:
    """The parts of the native action space of an environment, by name.

    Raises:
        TypeError: If it has another action space.
    """
    space = env.action_space
    if not isinstance(space, spaces.Dict) or "gateway_weights" not in space.spaces:
        raise TypeError(f"this wrapper needs the native Dict action space of SatFL, got {space}")
    return space.spaces


def timing_choices(env: gym.Env[Any, Any]) -> NDArray[np.int64]:
    """Choices of each part of `aggregate`, (G + 1,); (0,) where the action has no such part."""
    timing = native_parts(env).get("aggregate", spaces.MultiDiscrete(np.zeros(0, dtype=np.int64)))
    assert isinstance(timing, spaces.MultiDiscrete)
    return timing.nvec


def network_state(env: gym.Env[Any, Any]) -> NetworkState:
    """The state of the simulation inside, with all its parts."""
    state: NetworkState = env.get_wrapper_attr("simulation").state
    return state


def association_mask(env: gym.Env[Any, Any]) -> NDArray[np.bool_]:
    """Associations that make sense now, (S, G + 1)."""
    mask: NDArray[np.bool_] = env.get_wrapper_attr("action_masks")()["association"]
    return mask


def relabelled(cluster: NDArray[np.int64], num_clusters: int) -> NDArray[np.int64]:
    """Cluster labels counted anew from 0 in the order of their first satellites, (S,); those too many are the last."""
    _, first, index = np.unique(cluster, return_index=True, return_inverse=True)
    return np.minimum(first.argsort().argsort()[index.reshape(-1)], num_clusters - 1)


def places(lengths: Iterable[int]) -> list[slice]:
    """Where parts of some lengths lie in a flat action, one after the other."""
    return [slice(*ends) for ends in pairwise(accumulate(lengths, initial=0))]
