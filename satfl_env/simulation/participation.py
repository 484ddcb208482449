"""Who takes part in a round, for how many epochs, and what it costs in seconds and joules."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from satfl_env.onboard import affordable_epochs, epoch_energy_j, epoch_time_s
from satfl_env.simulation.state import BoolArray, Decision, FloatArray, IntArray, NetworkState, Outcome


@dataclass(frozen=True, eq=False)
class Participation:
    """Outcome, epochs, times and energies of one round before training, each (S,); zeros where nobody trains.

    `computed_before` tells that the training time lies before the round.
    """

    outcome: IntArray
    epochs: IntArray
    download_s: FloatArray
    compute_s: FloatArray
    upload_s: FloatArray
    compute_energy_j: FloatArray
    transmit_energy_j: FloatArray
    computed_before: bool = False

    @property
    def trains(self) -> BoolArray:
        """Satellites that train, (S,)."""
        return np.asarray(self.outcome == Outcome.RETURNED.value)

    @property
    def busy_s(self) -> FloatArray:
        """Time until the satellite's update is back, (S,)."""
        transfers_s = self.download_s + self.upload_s
        return transfers_s if self.computed_before else transfers_s + self.compute_s


def limit_cohort(decision: Decision, state: NetworkState, cohort: int, rng: np.random.Generator) -> Decision:
    """Let `cohort` satellites at most take part, drawn uniformly from those associated with a gateway in sight.

    The sampling of clients in FedAvg (McMahan et al., AISTATS 2017); the others sit the round out.
    """
    sits_out = np.zeros((state.num_satellites, 1), dtype=np.bool_)
    in_sight = np.concatenate([state.visible, sits_out], axis=1)
    candidates = np.flatnonzero(in_sight[np.arange(state.num_satellites), decision.association])
    if len(candidates) <= cohort:
        return decision
    association = decision.association.copy()
    association[rng.permutation(candidates)[cohort:]] = state.num_gateways
    return replace(decision, association=association)


def first_reason(*reasons: tuple[Outcome, BoolArray]) -> IntArray:
    """Outcome of each satellite: the first reason that holds for it, returned where none does, (S,)."""
    outcome = np.full(len(reasons[0][1]), Outcome.RETURNED.value)
    for reason, holds in reversed(reasons):
        outcome[holds] = reason.value
    return outcome


def participate(
    state: NetworkState,
    decision: Decision,
    transfer_s: FloatArray,
    *,
    transmit_power_w: float,
    cadence_s: float | None = None,
) -> Participation:
    """Apply the time and energy constraints of SemSpaceFL (section III-F) to a decision.

    Args:
        state: The network at the start of the round.
        decision: A decision that fits the state.
        transfer_s: One-way model transfer time under the decided association, (S,); infinite where there is no link.
        transmit_power_w: Power drawn while a satellite returns its model.
        cadence_s: If rounds have a fixed length, everyone must also be back within it.
    """
    associated = decision.association < state.num_gateways
    pair = (np.arange(state.num_satellites), np.where(associated, decision.association, 0))
    visible = associated & state.visible[pair]
    window_s = np.where(visible, state.window_s[pair], 0.0)
    if cadence_s is not None:
        window_s = np.minimum(window_s, cadence_s)
    link_s = np.where(np.isfinite(transfer_s), 2 * transfer_s, window_s)
    load = {"cycles_per_sample": state.cycles_per_sample, "kappa": state.kappa}

    budgets_j = np.array([np.full_like(state.energy_j, np.inf), state.energy_j])
    in_time, affordable = affordable_epochs(window_s, link_s, state.samples, budgets_j, decision.cpu_frequency, **load)
    outcome = first_reason(
        (Outcome.SAT_OUT, ~associated),
        (Outcome.NOT_VISIBLE, ~visible),
        (Outcome.OUT_OF_TIME, in_time < 1),
        (Outcome.OUT_OF_ENERGY, affordable < 1),
    )
    trains = outcome == Outcome.RETURNED
    epochs = np.where(trains, np.minimum(affordable, state.max_epochs), 0)

    # Idle satellites may have frequency 0; any positive stand-in is multiplied by 0 epochs.
    cpu_hz = np.where(trains, decision.cpu_frequency, state.cpu_max_hz)
    one_way_s = np.where(trains, link_s / 2, 0.0)
    return Participation(
        outcome=outcome,
        epochs=epochs,
        download_s=one_way_s,
        compute_s=epochs * epoch_time_s(state.samples, cpu_hz, cycles_per_sample=state.cycles_per_sample),
        upload_s=one_way_s,
        compute_energy_j=epochs * epoch_energy_j(state.samples, cpu_hz, **load),
        transmit_energy_j=transmit_power_w * one_way_s,
    )
