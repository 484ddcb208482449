"""What a satellite can train in a round, and what that costs: for protocols to use."""

from __future__ import annotations

import numpy as np

from satfl_env.onboard import whole_epochs
from satfl_env.onboard.compute import ROUNDING
from satfl_env.simulation.protocols.epoch_cost import EpochCost
from satfl_env.simulation.protocols.round_protocol import Opening, Participation
from satfl_env.simulation.state import FloatArray, IntArray
from satfl_env.simulation.updates import Outcome


def epochs_in_time_and_affordable(
    epoch: EpochCost, training_s: FloatArray, energy_j: FloatArray, stored_j: FloatArray
) -> tuple[IntArray, IntArray]:
    """Local epochs that fit the time, and those that also fit the energy, each (S,) (SemSpaceFL, eq. 19).

    Args:
        epoch: What an epoch costs.
        training_s: Time for training, (S,).
        energy_j: Energy that may be spent on training, (S,); see `Opening.spendable_j`.
        stored_j: Energy stored, less what the transfers take of it, (S,); see `Opening.left_j`.
    """
    # The rounding of epochs must not overdraw a battery.
    there_is = np.array([training_s, energy_j, stored_j / ROUNDING])
    fit = whole_epochs(there_is, np.array([epoch.time_s, epoch.energy_j, epoch.drawn_j]))
    return fit[0], fit.min(axis=0)


def cost_of_training(
    opening: Opening,
    outcome: IntArray,
    affordable: IntArray,
    epoch: EpochCost,
    download_s: FloatArray,
    upload_s: FloatArray,
    *,
    in_round: bool,
) -> Participation:
    """What a round costs those who train (SemSpaceFL, eq. 5-6).

    Args:
        opening: The round at its start.
        outcome: `Outcome` of each satellite, (S,); those that return an update train.
        affordable: Epochs that each could train, (S,).
        epoch: What an epoch costs.
        download_s: Time to fetch the model, (S,).
        upload_s: Time to return it, (S,).
        in_round: Whether satellites train during the round, which then keeps them busy as transfers do.
    """
    trains, transfers_s = outcome == Outcome.RETURNED.value, download_s + upload_s
    epochs = np.where(trains, np.minimum(affordable, opening.state.max_epochs), 0)
    # Idle satellites may have frequency 0, at which an epoch takes forever.
    compute_s = np.multiply(epochs, epoch.time_s, out=np.zeros(len(epochs)), where=trains)
    compute_energy_j = np.multiply(epochs, epoch.energy_j, out=np.zeros(len(epochs)), where=trains)
    return Participation(
        outcome=outcome,
        epochs=epochs,
        download_s=download_s,
        compute_s=compute_s,
        upload_s=upload_s,
        compute_energy_j=compute_energy_j,
        transmit_energy_j=opening.transmit_power_w * upload_s,
        busy_s=transfers_s + compute_s if in_round else transfers_s,
    )
