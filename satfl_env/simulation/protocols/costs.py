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
    in_time = whole_epochs((training_s, epoch.time_s))
    # The rounding of epochs must not overdraw a battery.
    energies = (energy_j, epoch.energy_j), (stored_j / ROUNDING, epoch.drawn_j)
    return in_time, np.minimum(in_time, whole_epochs(*energies))


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
    compute_s, compute_energy_j = (
        np.multiply(epochs, each, out=np.zeros(len(epochs)), where=trains) for each in (epoch.time_s, epoch.energy_j)
    )
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
