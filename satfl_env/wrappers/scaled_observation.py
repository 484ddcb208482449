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
        lows, highs = zip(*parts.values(), strict=True)
        self._low = np.concatenate(lows, axis=None, dtype=np.float64)
        self._span = np.concatenate(highs, axis=None, dtype=np.float64) - self._low
        self._varies = self._span > 0
        self.observation_space = spaces.Box(-1.0, 1.0, self._low.shape, np.float32)

    def observation(self, observation: Observation) -> NDArray[np.float32]:
        """The scaled vector."""
        flat = np.concatenate([observation[key] for key in self._keys], axis=None, dtype=np.float64)
        flat -= self._low
        scaled = np.full(flat.shape, 0.5)
        np.divide(flat, self._span, out=scaled, where=self._varies)
        scaled *= 2.0
        scaled -= 1.0
        scaled.clip(-1.0, 1.0, out=scaled)
        return scaled.astype(np.float32)
