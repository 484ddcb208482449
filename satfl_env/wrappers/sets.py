"""The observation as sets: rows for satellites and for pairs with gateways."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from satfl_env.envs.spaces import Observation
from satfl_env.wrappers.features import (
    GLOBAL_FEATURES,
    LIMIT,
    PAIR_FEATURES,
    SATELLITE_FEATURES,
    SIMILARITY_FEATURES,
    SetArrays,
    set_observation,
)
from satfl_env.wrappers.native import native_sizes, network_state


class SetObservation(gym.ObservationWrapper[SetArrays, Any, Observation], RecordConstructorArgs):
    """`Dict` observations of rows for satellites and pairs: `set_observation` of the simulation's own state.

    That state has all parts; what the scenario's section `observation` shows changes nothing. It goes around any of the
    wrappers of actions.

    Args:
        env: `SatFLEnv`, or a wrapper of it.
        similarities: Whether to look at the similarities, which take (S, S).
    """

    def __init__(self, env: gym.Env[Observation, Any], similarities: bool = True) -> None:
        RecordConstructorArgs.__init__(self, similarities=similarities)
        super().__init__(env)
        self.similarities = similarities
        satellites, gateways = native_sizes(env.unwrapped)
        per_satellite = len(SATELLITE_FEATURES) + (len(SIMILARITY_FEATURES) if similarities else 0)
        self.observation_space = spaces.Dict(
            {
                "satellite": _box(satellites, per_satellite),
                "pair": _box(satellites, gateways, len(PAIR_FEATURES)),
                "globals": _box(len(GLOBAL_FEATURES)),
            }
        )

    def observation(self, observation: Observation) -> SetArrays:
        """The sets of the current state."""
        return set_observation(network_state(self.env), similarities=self.similarities)


def _box(*shape: int) -> spaces.Box:
    return spaces.Box(-LIMIT, LIMIT, shape, np.float32)
