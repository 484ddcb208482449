"""The Gymnasium interface of a simulation: spaces, rewards, rendering; no physics and no learning of its own."""

from __future__ import annotations

from satfl_env.envs.process_vector import ProcessVectorEnv, make_vector_env
from satfl_env.envs.rewards import Reward, RewardChoice, judging_metric, primary_metrics
from satfl_env.envs.satfl import SatFLEnv
from satfl_env.envs.spaces import decision_to_action, observation_to_state
from satfl_env.envs.vector import SatFLVectorEnv

__all__ = [
    "ProcessVectorEnv",
    "Reward",
    "RewardChoice",
    "SatFLEnv",
    "SatFLVectorEnv",
    "decision_to_action",
    "judging_metric",
    "make_vector_env",
    "observation_to_state",
    "primary_metrics",
]
