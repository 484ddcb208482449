"""Federated learning of semantic communication over LEO satellites, as a Gymnasium environment.

Importing the package registers `SatFL-v0`: `gymnasium.make("SatFL-v0")`.
"""

from __future__ import annotations

import gymnasium as gym

from satfl_env.envs import (
    SatFLEnv,
    SatFLVectorEnv,
    SpreadVectorEnv,
    decision_to_action,
    make_vector_env,
    observation_to_state,
)
from satfl_env.federated import (
    COMBINE_RULES,
    ClippedMean,
    GeometricMedian,
    TrimmedMean,
    coordinate_median,
    weighted_mean,
)
from satfl_env.onboard import affordable_epochs, optimal_frequency_hz
from satfl_env.scenarios.federated_data import FederatedImages
from satfl_env.semantics import Autoencoder, Classifier, SemanticModel, semantic_similarity
from satfl_env.simulation import Decision, NetworkState, Outcome, RoundReport, Simulation

__version__ = "0.1.0"

__all__ = [
    "COMBINE_RULES",
    "Autoencoder",
    "Classifier",
    "ClippedMean",
    "Decision",
    "FederatedImages",
    "GeometricMedian",
    "NetworkState",
    "Outcome",
    "RoundReport",
    "SatFLEnv",
    "SatFLVectorEnv",
    "SemanticModel",
    "Simulation",
    "SpreadVectorEnv",
    "TrimmedMean",
    "__version__",
    "affordable_epochs",
    "coordinate_median",
    "decision_to_action",
    "make_vector_env",
    "observation_to_state",
    "optimal_frequency_hz",
    "semantic_similarity",
    "weighted_mean",
]

# Gymnasium warns when an id is registered twice, as happens when the package is reloaded.
if "SatFL-v0" not in gym.registry:
    gym.register(
        "SatFL-v0",
        entry_point="satfl_env.envs.satfl:SatFLEnv",
        vector_entry_point="satfl_env.envs.spread:make_vector_env",
    )
