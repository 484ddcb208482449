"""The Gymnasium face of a simulation: spaces, rewards and rendering; no physics and no learning of its own."""

from __future__ import annotations

from satfl_env.envs.satfl import SatFLEnv
from satfl_env.envs.spaces import decision_to_action, observation_to_state, state_to_observation
from satfl_env.envs.spread import SpreadVectorEnv, make_vector_env
from satfl_env.envs.vector import SatFLVectorEnv

__all__ = [
    "SatFLEnv",
    "SatFLVectorEnv",
    "SpreadVectorEnv",
    "decision_to_action",
    "make_vector_env",
    "observation_to_state",
    "state_to_observation",
]
