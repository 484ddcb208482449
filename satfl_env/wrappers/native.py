"""What the action wrappers read from the environment inside."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

DEFAULT_NUM_CLUSTERS = 3


def native_sizes(env: gym.Env[Any, Any]) -> tuple[int, int]:
    """Numbers of satellites and gateways, S and G, of an environment with the native action space.

    Raises:
        TypeError: If it has another action space.
    """
    space = env.action_space
    if not isinstance(space, spaces.Dict) or "gateway_weights" not in space.spaces:
        raise TypeError(f"this wrapper needs the native Dict action space of SatFL, got {space}")
    return spaces.flatdim(space["weights"]), spaces.flatdim(space["gateway_weights"])


def timing_choices(env: gym.Env[Any, Any]) -> NDArray[np.int64]:
    """Choices of each part of `aggregate`, (G + 1,); (0,) where the action has no such part."""
    space = env.action_space
    assert isinstance(space, spaces.Dict)
    timing = space.spaces.get("aggregate", spaces.MultiDiscrete(np.zeros(0, dtype=np.int64)))
    assert isinstance(timing, spaces.MultiDiscrete)
    return timing.nvec


def association_mask(env: gym.Env[Any, Any]) -> NDArray[np.bool_]:
    """Associations that make sense now, (S, G + 1)."""
    mask: NDArray[np.bool_] = env.get_wrapper_attr("action_masks")()["association"]
    return mask
