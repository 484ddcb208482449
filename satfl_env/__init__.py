"""Federated learning of semantic communication over LEO satellites, as a Gymnasium environment.

Importing the package registers `SatFL-v0`: `gymnasium.make("SatFL-v0")`.
"""

from __future__ import annotations

import gymnasium as gym

from satfl_env.envs import (
    ProcessVectorEnv,
    SatFLEnv,
    SatFLVectorEnv,
    decision_to_action,
    make_vector_env,
    observation_to_state,
)
from satfl_env.onboard import affordable_epochs, optimal_frequency_hz
from satfl_env.semantics import semantic_similarity
from satfl_env.simulation import Decision, NetworkState, Outcome, RoundReport, Simulation

__version__ = "0.1.0"

__all__ = [
    "Decision",
    "NetworkState",
    "Outcome",
    "ProcessVectorEnv",
    "RoundReport",
    "SatFLEnv",
    "SatFLVectorEnv",
    "Simulation",
    "__version__",
    "affordable_epochs",
    "decision_to_action",
    "make_vector_env",
    "observation_to_state",
    "optimal_frequency_hz",
    "semantic_similarity",
]

# Gymnasium warns when an id is registered twice, as happens when the package is reloaded.
if "SatFL-v0" not in gym.registry:
    gym.register(
        "SatFL-v0",
        entry_point="satfl_env.envs.satfl:SatFLEnv",
        vector_entry_point="satfl_env.envs.process_vector:make_vector_env",
    )
