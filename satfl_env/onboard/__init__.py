"""What a satellite can afford: time and energy of an epoch, the best CPU frequency, epochs that fit, the battery."""

from __future__ import annotations

from satfl_env.onboard.battery import battery_after_j, solar_power_w, usable_charge_j
from satfl_env.onboard.compute import affordable_epochs, epoch_energy_j, epoch_time_s, optimal_frequency_hz
from satfl_env.onboard.energy import draw_energy_j

__all__ = [
    "affordable_epochs",
    "battery_after_j",
    "draw_energy_j",
    "epoch_energy_j",
    "epoch_time_s",
    "optimal_frequency_hz",
    "solar_power_w",
    "usable_charge_j",
]
