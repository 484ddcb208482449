"""Validated configurations: built-in scenarios, your own YAML files, and the simulation they describe."""

from __future__ import annotations

from satfl_env.builtin import names
from satfl_env.scenarios.build import build, similarity_scales
from satfl_env.scenarios.errors import ScenarioError
from satfl_env.scenarios.federated_data import FederatedImages
from satfl_env.scenarios.loader import load, resolve
from satfl_env.scenarios.schema import Scenario, Target

__all__ = [
    "FederatedImages",
    "Scenario",
    "ScenarioError",
    "Target",
    "build",
    "load",
    "names",
    "resolve",
    "similarity_scales",
]
