"""Federated learning of semantic communication over LEO satellites, as a Gymnasium environment.

Importing the package registers `SatFL-v0`: `gymnasium.make("SatFL-v0")`. Its names are listed in `__init__.pyi`
and imported on first use, so that a command's help does not wait for PyTorch.
"""

from __future__ import annotations

import gymnasium as gym

from satfl_env.imports import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)

__version__ = "0.2.0"

# Gymnasium warns when an id is registered twice, as happens when the package is reloaded.
if "SatFL-v0" not in gym.registry:
    gym.register(
        "SatFL-v0",
        entry_point="satfl_env:SatFLEnv",
        vector_entry_point="satfl_env:make_vector_env",
    )
