"""What fails in an episode: satellites, gateways, contacts, and bits in memory."""

from __future__ import annotations

from satfl_env.simulation.faults.episode import EpisodeFaults, NoFaults, episode_faults
from satfl_env.simulation.faults.outages import Outages, Renewals
from satfl_env.simulation.faults.settings import FaultModel, Faults
from satfl_env.simulation.faults.strike import strike
from satfl_env.simulation.faults.upsets import upset_models

__all__ = [
    "EpisodeFaults",
    "FaultModel",
    "Faults",
    "NoFaults",
    "Outages",
    "Renewals",
    "episode_faults",
    "strike",
    "upset_models",
]
