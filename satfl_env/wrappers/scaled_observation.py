"""The whole observation as one vector of numbers in [-1, 1]."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from satfl_env.envs.spaces import Observation, bounds


class ScaledObservation(gym.ObservationWrapper[NDArray[np.float32], Any, Observation], RecordConstructorArgs):
    """A flat `Box(-1, 1)`: each entry scaled by the observation space's own bounds, key by key.

    Entries whose bounds coincide are 0.

    Args:
        env: An environment whose observations are a `Dict` of `Box` and `MultiDiscrete` spaces.

    Raises:
        TypeError: If the observation space is not a `Dict`.
    """

    def __init__(self, env: gym.Env[Observation, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        if not isinstance(env.observation_space, spaces.Dict):
            raise TypeError(f"ScaledObservation needs a Dict observation space, got {env.observation_space}")
        parts = {key: bounds(space) for key, space in env.observation_space.items()}
        self._keys = tuple(parts)
        self._low = np.concatenate([np.ravel(low) for low, _ in parts.values()]).astype(np.float64)
        self._span = np.concatenate([np.ravel(high) for _, high in parts.values()]).astype(np.float64) - self._low
        self.observation_space = spaces.Box(-1.0, 1.0, self._low.shape, np.float32)

    def observation(self, observation: Observation) -> NDArray[np.float32]:
        """The scaled vector."""
        flat = np.concatenate([np.ravel(observation[key]) for key in self._keys])
        share = np.divide(flat - self._low, self._span, out=np.full(flat.shape, 0.5), where=self._span > 0)
        scaled: NDArray[np.float64] = np.clip(2.0 * share - 1.0, -1.0, 1.0)
        return scaled.astype(np.float32)
