"""The round loop: composes orbits, links, onboard, data, semantics and federated; knows nothing of RL."""

from __future__ import annotations

from satfl_env.simulation.evaluation import Evaluation
from satfl_env.simulation.ingredients import (
    Battery,
    EnergyDraws,
    FederatedData,
    Ingredients,
    Links,
    OnboardComputer,
    RoundSettings,
)
from satfl_env.simulation.simulation import Simulation
from satfl_env.simulation.state import Decision, NetworkState, Outcome, RoundReport

__all__ = [
    "Battery",
    "Decision",
    "EnergyDraws",
    "Evaluation",
    "FederatedData",
    "Ingredients",
    "Links",
    "NetworkState",
    "OnboardComputer",
    "Outcome",
    "RoundReport",
    "RoundSettings",
    "Simulation",
]
