"""On-board resources: time and energy of an epoch, the best CPU frequency, epochs that fit, the battery."""

from __future__ import annotations

from satfl_env.onboard.battery import Battery, Panels
from satfl_env.onboard.compute import (
    COMPUTER_VALUES,
    Computer,
    OnboardComputer,
    affordable_epochs,
    epoch_energy_j,
    epoch_time_s,
    optimal_frequency_hz,
    whole_epochs,
)
from satfl_env.onboard.energy import Energy, EnergyBalance, EnergyDraws, Supply, as_supply

__all__ = [
    "COMPUTER_VALUES",
    "Battery",
    "Computer",
    "Energy",
    "EnergyBalance",
    "EnergyDraws",
    "OnboardComputer",
    "Panels",
    "Supply",
    "affordable_epochs",
    "as_supply",
    "epoch_energy_j",
    "epoch_time_s",
    "optimal_frequency_hz",
    "whole_epochs",
]
