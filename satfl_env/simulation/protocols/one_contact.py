"""The round of both papers: a satellite fetches, trains and returns within one contact."""

from __future__ import annotations

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.onboard import affordable_epochs, epoch_energy_j, epoch_time_s
from satfl_env.orbits import SceneSnapshot
from satfl_env.settings import STRICT
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols.round_protocol import (
    Aggregation,
    Contacts,
    Fetched,
    Participation,
    direct_contacts,
)
from satfl_env.simulation.state import BoolArray, Decision, FloatArray, IntArray, NetworkState
from satfl_env.simulation.updates import Outcome, first_reason


@dataclass(frozen=True, config=STRICT)
class OneContact:
    """Fetch the model, train and return the update within one contact (SemSpaceFL, section III-F)."""

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> Contacts:
        """Every satellite talks to gateways directly."""
        return direct_contacts(snapshot)

    def participate(
        self,
        state: NetworkState,
        decision: Decision,
        transfer_s: FloatArray,
        fetched: Fetched,
        *,
        transmit_power_w: float,
        cadence_s: float | None = None,
    ) -> Participation:
        """Satellites train if an epoch fits the contact and the energy (SemSpaceFL, section III-F)."""
        pair, associated = decision.pairs, decision.associated
        visible = associated & state.visible[pair]
        window_s = np.where(visible, state.window_s[pair], 0.0)
        if cadence_s is not None:
            window_s = np.minimum(window_s, cadence_s)
        link_s = np.where(np.isfinite(transfer_s), 2 * transfer_s, window_s)
        load = {"cycles_per_sample": state.cycles_per_sample, "kappa": state.kappa}

        budgets_j = np.array([np.full_like(state.energy_j, np.inf), state.energy_j])
        in_time, affordable = affordable_epochs(
            window_s, link_s, state.samples, budgets_j, decision.cpu_frequency, **load
        )
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
        compute_s = epochs * epoch_time_s(state.samples, cpu_hz, cycles_per_sample=state.cycles_per_sample)
        return Participation(
            outcome=outcome,
            epochs=epochs,
            download_s=one_way_s,
            compute_s=compute_s,
            upload_s=one_way_s,
            compute_energy_j=epochs * epoch_energy_j(state.samples, cpu_hz, **load),
            transmit_energy_j=transmit_power_w * one_way_s,
            busy_s=one_way_s + one_way_s + compute_s,
        )

    def start(self, models: ModelStore, decision: Decision, trains: BoolArray) -> Tensor:
        """Participants train from their cluster's model at their gateway."""
        return models.start_parameters(decision, trains)

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways combine the updates of each cluster in the round they arrive (SemSpaceFL, eq. 2)."""
        weights, equal_weights = models.aggregate(decision, arrivals, combine)
        return Aggregation(weights, equal_weights, staleness=np.zeros(len(weights), dtype=np.int64))

    def fetches(self, outcome: IntArray) -> BoolArray:
        """Satellites that returned an update; one that diverged starts from its gateway's model next time anyway."""
        return np.asarray(outcome == Outcome.RETURNED)
