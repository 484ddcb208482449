"""Federated learning of semantic communication over LEO satellites, as a Gymnasium environment.

Importing the package registers `SatFL-v0`: `gymnasium.make("SatFL-v0")`. Its names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium as gym

from satfl_env.lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from satfl_env.envs import ProcessVectorEnv as ProcessVectorEnv
    from satfl_env.envs import SatFLEnv as SatFLEnv
    from satfl_env.envs import SatFLVectorEnv as SatFLVectorEnv
    from satfl_env.envs import decision_to_action as decision_to_action
    from satfl_env.envs import make_vector_env as make_vector_env
    from satfl_env.envs import observation_to_state as observation_to_state
    from satfl_env.onboard import affordable_epochs as affordable_epochs
    from satfl_env.onboard import optimal_frequency_hz as optimal_frequency_hz
    from satfl_env.semantics import Classifier as Classifier
    from satfl_env.semantics import SemanticModel as SemanticModel
    from satfl_env.semantics import semantic_similarity as semantic_similarity
    from satfl_env.simulation import Decision as Decision
    from satfl_env.simulation import NetworkState as NetworkState
    from satfl_env.simulation import Outcome as Outcome
    from satfl_env.simulation import RoundReport as RoundReport
    from satfl_env.simulation import Simulation as Simulation
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "satfl_env.envs": (
                "ProcessVectorEnv",
                "SatFLEnv",
                "SatFLVectorEnv",
                "decision_to_action",
                "make_vector_env",
                "observation_to_state",
            ),
            "satfl_env.onboard": ("affordable_epochs", "optimal_frequency_hz"),
            "satfl_env.semantics": ("Classifier", "SemanticModel", "semantic_similarity"),
            "satfl_env.simulation": ("Decision", "NetworkState", "Outcome", "RoundReport", "Simulation"),
        },
    )

# Gymnasium warns when an id is registered twice, as happens when the package is reloaded.
if "SatFL-v0" not in gym.registry:
    gym.register(
        "SatFL-v0",
        entry_point="satfl_env.envs.satfl:SatFLEnv",
        vector_entry_point="satfl_env.envs.process_vector:make_vector_env",
    )
