"""Updates that arrive one contact late: trained out of sight, returned when the satellite next meets a gateway.

Asynchronous and buffered aggregation in one rule: a gateway waits for `buffer` updates and then moves its model by
their combination. FedSat (Razmi, Matthiesen, Dekorsy, Popovski, IEEE WCL 11(4), 2022) is the case of a buffer of
one; FedBuff (Nguyen et al., AISTATS 2022) that of a larger one, its updates discounted by (1 + staleness)^-1/2. The
power law is that of FedAsync (Xie, Koyejo, Gupta, OPT 2020).
"""

from __future__ import annotations

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.onboard import affordable_epochs, epoch_energy_j, epoch_time_s
from satfl_env.settings import STRICT, Count, NonNegative, Positive
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.round_protocol import Aggregation, Fetched, Participation
from satfl_env.simulation.state import BoolArray, Decision, FloatArray, IntArray, NetworkState
from satfl_env.simulation.updates import Outcome, first_reason


def staleness_discount(staleness: IntArray, power: float) -> FloatArray:
    r"""Factor $(1 + \tau)^{-a}$ of an update whose model has changed $\tau$ times since it was fetched, (S,)."""
    return np.asarray((1.0 + staleness) ** -power)


@dataclass(frozen=True, config=STRICT)
class LateUpdates(OneContact):
    """Updates are trained between two contacts and returned at the second (FedSat, FedBuff).

    Attributes:
        buffer: Updates of a cluster that a gateway waits for before it changes the model.
        staleness_power: An update is weighted by (1 + staleness)^-power, where staleness is the number of times that
            the models have changed since its model was fetched.
        server_rate: Step size of a model along its combined updates.
    """

    buffer: Count = 1
    staleness_power: NonNegative = 0.5
    server_rate: Positive = 1.0

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
        """Satellites return what they have trained since their last contact; only the transfers have to fit this one.

        The energy is taken from this round's budget, although it was spent on the way. A satellite that has fetched no
        model yet, or fetched one at 0 Hz, only fetches.
        """
        pair, associated = decision.pairs, decision.associated
        visible = associated & state.visible[pair]
        contact_s = np.minimum(state.window_s[pair], np.inf if cadence_s is None else cadence_s)
        fits = visible & (2 * transfer_s <= contact_s)
        # A model fetched at 0 Hz is never trained.
        never = np.isnan(fetched.since_s) | (fetched.cpu_hz <= 0)
        load = {"cycles_per_sample": state.cycles_per_sample, "kappa": state.kappa}
        away_s = np.where(never, 0.0, fetched.since_s)
        budgets_j = np.array([np.full_like(state.energy_j, np.inf), state.energy_j])
        in_time, affordable = affordable_epochs(away_s, 0.0 * away_s, state.samples, budgets_j, fetched.cpu_hz, **load)
        outcome = first_reason(
            (Outcome.SAT_OUT, ~associated),
            (Outcome.NOT_VISIBLE, ~visible),
            (Outcome.OUT_OF_TIME, ~fits),
            (Outcome.FETCHED, never),
            (Outcome.OUT_OF_TIME, in_time < 1),
            (Outcome.OUT_OF_ENERGY, affordable < 1),
        )
        trains = outcome == Outcome.RETURNED
        epochs = np.where(trains, np.minimum(affordable, state.max_epochs), 0)
        running_hz = np.where(trains, fetched.cpu_hz, state.cpu_max_hz)
        download_s = np.where(trains | (outcome == Outcome.FETCHED), transfer_s, 0.0)
        upload_s = np.where(trains, transfer_s, 0.0)
        return Participation(
            outcome=outcome,
            epochs=epochs,
            download_s=download_s,
            compute_s=epochs * epoch_time_s(state.samples, running_hz, cycles_per_sample=state.cycles_per_sample),
            upload_s=upload_s,
            compute_energy_j=epochs * epoch_energy_j(state.samples, running_hz, **load),
            transmit_energy_j=transmit_power_w * upload_s,
            # Training took place before the round.
            busy_s=download_s + upload_s,
        )

    def start(self, models: ModelStore, decision: Decision, trains: BoolArray) -> Tensor:
        """Satellites have trained from the model they hold, the one they fetched."""
        return models.held

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways collect updates until there are enough of them (FedBuff, Algorithm 1)."""
        staleness = np.where(arrivals.returned, models.version - fetched.version, 0)
        weights, equal_weights = models.collect(
            decision,
            arrivals,
            staleness_discount(staleness, self.staleness_power),
            combine,
            buffer=self.buffer,
            server_rate=self.server_rate,
        )
        return Aggregation(weights, equal_weights, staleness)

    def fetches(self, outcome: IntArray) -> BoolArray:
        """All satellites that met their gateway, including those whose training diverged."""
        return np.isin(outcome, (Outcome.RETURNED, Outcome.FETCHED, Outcome.DIVERGED))
