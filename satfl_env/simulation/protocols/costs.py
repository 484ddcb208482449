"""What a satellite can train in a round, and what that costs: for protocols to use."""

from __future__ import annotations

import numpy as np

from satfl_env.onboard import affordable_epochs, epoch_energy_j, epoch_time_s
from satfl_env.onboard.compute import ROUNDING
from satfl_env.settings import Each
from satfl_env.simulation.protocols.round_protocol import Opening, Participation
from satfl_env.simulation.state import FloatArray, IntArray
from satfl_env.simulation.updates import Outcome


def epochs_in_time_and_affordable(
    opening: Opening,
    training_s: FloatArray,
    download_s: FloatArray,
    upload_s: FloatArray,
    cpu_hz: FloatArray,
    *,
    standing_w: Each,
) -> tuple[IntArray, IntArray]:
    """Local epochs that fit the time, and those that also fit the energy, each (S,) (SemSpaceFL, eq. 19).

    Energy is what may be spent on training, less the upload where that counts, and what is stored, less what the
    transfers take of it.

    Args:
        opening: The round at its start.
        training_s: Time for training, (S,).
        download_s: Time to fetch a model, (S,), finite.
        upload_s: Time to return one, (S,), finite.
        cpu_hz: CPU frequency, (S,).
        standing_w: Power drawn during training from what is stored, one number or (S,).
    """
    state, nothing = opening.state, np.zeros(len(cpu_hz))
    # By budget: the time alone, what may be spent, and what is stored.
    extra_w = np.zeros((3, np.size(standing_w)))
    extra_w[2] = standing_w
    budgets_j = np.array(
        [
            np.full_like(state.energy_j, np.inf),
            state.energy_j - opening.counted_power_w * upload_s,
            # The rounding of epochs must not overdraw a battery.
            (opening.stored_j - opening.carry_j(download_s, upload_s)) / ROUNDING,
        ]
    )
    in_time, affordable, carried = affordable_epochs(
        training_s,
        nothing,
        state.samples,
        budgets_j,
        cpu_hz,
        cycles_per_sample=state.cycles_per_sample,
        kappa=state.kappa,
        extra_w=extra_w,
    )
    return in_time, np.minimum(affordable, carried)


def cost_of_training(
    opening: Opening,
    outcome: IntArray,
    affordable: IntArray,
    cpu_hz: FloatArray,
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
        cpu_hz: CPU frequency, (S,).
        download_s: Time to fetch the model, (S,).
        upload_s: Time to return it, (S,).
        in_round: Whether satellites train during the round, which then keeps them busy as transfers do.
    """
    state = opening.state
    trains = outcome == Outcome.RETURNED.value
    epochs = np.where(trains, np.minimum(affordable, state.max_epochs), 0)
    # Idle satellites may have frequency 0; any positive stand-in is multiplied by 0 epochs.
    running_hz = np.where(trains, cpu_hz, state.cpu_max_hz)
    epoch_s = epoch_time_s(state.samples, running_hz, cycles_per_sample=state.cycles_per_sample)
    epoch_j = epoch_energy_j(state.samples, running_hz, cycles_per_sample=state.cycles_per_sample, kappa=state.kappa)
    compute_s, transfers_s = epochs * epoch_s, download_s + upload_s
    return Participation(
        outcome=outcome,
        epochs=epochs,
        download_s=download_s,
        compute_s=compute_s,
        upload_s=upload_s,
        compute_energy_j=epochs * epoch_j,
        transmit_energy_j=opening.transmit_power_w * upload_s,
        busy_s=transfers_s + compute_s if in_round else transfers_s,
    )
