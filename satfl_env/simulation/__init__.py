"""The round loop: composes orbits, links, onboard, data, semantics and federated; knows nothing of RL."""

from __future__ import annotations

from satfl_env.simulation.evaluation import Evaluation
from satfl_env.simulation.ingredients import (
    FederatedData,
    Ingredients,
    LateUpdates,
    PlaneRelays,
    RoundSettings,
)
from satfl_env.simulation.simulation import Simulation
from satfl_env.simulation.state import Decision, NetworkState, Outcome, RoundReport, check_decision
from satfl_env.simulation.together import SimulationGroup

__all__ = [
    "Decision",
    "Evaluation",
    "FederatedData",
    "Ingredients",
    "LateUpdates",
    "NetworkState",
    "Outcome",
    "PlaneRelays",
    "RoundReport",
    "RoundSettings",
    "Simulation",
    "SimulationGroup",
    "check_decision",
]
