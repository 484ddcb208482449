"""Updates that come a contact late: trained out of sight, handed over when the satellite next meets a gateway.

Asynchronous and buffered aggregation in one rule: a gateway waits for `buffer` updates and then moves its model by
their mean. FedSat (Razmi, Matthiesen, Dekorsy, Popovski, IEEE WCL 11(4), 2022) is the case of a buffer of one; FedBuff
(Nguyen et al., AISTATS 2022) that of a larger one, its updates discounted by (1 + staleness)^-1/2. The power law is
that of FedAsync (Xie, Koyejo, Gupta, OPT 2020).
"""

from __future__ import annotations

import numpy as np

from satfl_env.onboard import affordable_epochs, epoch_energy_j, epoch_time_s
from satfl_env.simulation.participation import Participation, first_reason
from satfl_env.simulation.state import Decision, FloatArray, IntArray, NetworkState, Outcome


def staleness_discount(staleness: IntArray, power: float) -> FloatArray:
    """How much an update counts whose model has been changed `staleness` times since, (1 + staleness)^-power; (S,)."""
    return np.asarray((1.0 + staleness) ** -power)


def participate_late(
    state: NetworkState,
    decision: Decision,
    transfer_s: FloatArray,
    since_s: FloatArray,
    cpu_hz: FloatArray,
    *,
    transmit_power_w: float,
    cadence_s: float | None = None,
) -> Participation:
    """Who hands over what it has trained since its last contact; only the transfers have to fit the present one.

    Energy is that of the present round, although it was spent on the way.

    Args:
        state: The network at the start of the round.
        decision: A decision that fits the state.
        transfer_s: One-way model transfer time under the decided association, (S,); infinite where there is no link.
        since_s: Time since the satellite fetched the model it trains from, (S,); NaN where it has fetched none.
        cpu_hz: The frequency decided then, (S,); where it is 0, the satellite fetches anew.
        transmit_power_w: Power drawn while a satellite returns its model.
        cadence_s: If rounds have a fixed length, transfers must also fit it.
    """
    associated = decision.association < state.num_gateways
    pair = (np.arange(state.num_satellites), np.where(associated, decision.association, 0))
    visible = associated & state.visible[pair]
    contact_s = np.minimum(state.window_s[pair], np.inf if cadence_s is None else cadence_s)
    fits = visible & (2 * transfer_s <= contact_s)
    # What was fetched at 0 Hz never gets trained.
    never = np.isnan(since_s) | (cpu_hz <= 0)
    load = {"cycles_per_sample": state.cycles_per_sample, "kappa": state.kappa}
    away_s = np.where(never, 0.0, since_s)
    in_time = affordable_epochs(away_s, 0.0 * away_s, state.samples, np.inf, cpu_hz, **load)
    affordable = affordable_epochs(away_s, 0.0 * away_s, state.samples, state.energy_j, cpu_hz, **load)
    outcome = first_reason(
        (Outcome.SAT_OUT, ~associated),
        (Outcome.NOT_VISIBLE, ~visible),
        (Outcome.OUT_OF_TIME, ~fits),
        (Outcome.FETCHED, never),
        (Outcome.OUT_OF_TIME, in_time < 1),
        (Outcome.OUT_OF_ENERGY, affordable < 1),
    )
    trains = outcome == Outcome.RETURNED
    fetches = trains | (outcome == Outcome.FETCHED)
    epochs = np.where(trains, np.minimum(affordable, state.max_epochs), 0)
    running_hz = np.where(trains, cpu_hz, state.cpu_max_hz)
    upload_s = np.where(trains, transfer_s, 0.0)
    return Participation(
        outcome=outcome,
        epochs=epochs,
        download_s=np.where(fetches, transfer_s, 0.0),
        compute_s=epochs * epoch_time_s(state.samples, running_hz, cycles_per_sample=state.cycles_per_sample),
        upload_s=upload_s,
        compute_energy_j=epochs * epoch_energy_j(state.samples, running_hz, **load),
        transmit_energy_j=transmit_power_w * upload_s,
        computed_before=True,
    )
