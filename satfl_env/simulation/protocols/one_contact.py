"""The round of both papers: a satellite fetches, trains and returns within one contact."""

from __future__ import annotations

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.settings import STRICT, NonNegative
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Holdings, ModelStore
from satfl_env.simulation.protocols.buffers import aggregate_or_wait
from satfl_env.simulation.protocols.costs import cost_of_training, epochs_in_time_and_affordable
from satfl_env.simulation.protocols.direct import Direct
from satfl_env.simulation.protocols.round_protocol import Aggregation, Fetched, Opening, Participation
from satfl_env.simulation.state import BoolArray, IntArray
from satfl_env.simulation.updates import Outcome, first_reason


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OneContact(Direct):
    """Fetch the model, train and return the update within one contact (SemSpaceFL, section III-F).

    Attributes:
        staleness_power: An update that had to wait at its gateway is weighted by (1 + staleness)^-power, where
            staleness is the number of times that the models have changed since its model was fetched.
    """

    staleness_power: NonNegative = 0.5

    def participate(self, opening: Opening) -> Participation:
        """Satellites train if an epoch fits the contact and the energy (SemSpaceFL, section III-F).

        Epochs also end where the battery does; one that does not carry the transfers browns out.
        """
        window_s = opening.window_s
        reaches = np.isfinite(opening.download_s + opening.upload_s)
        download_s = np.where(reaches, opening.download_s, window_s)
        upload_s = np.where(reaches, opening.upload_s, 0.0)
        link_s = download_s + upload_s
        energy_j, stored_j = opening.spendable_j(upload_s), opening.left_j(download_s, upload_s)
        in_time, affordable = epochs_in_time_and_affordable(opening.epoch, window_s - link_s, energy_j, stored_j)
        outcome = first_reason(
            (Outcome.SAT_OUT, ~opening.associated),
            (Outcome.NOT_VISIBLE, ~opening.visible),
            (Outcome.OUT_OF_TIME, link_s >= window_s),
            (Outcome.BROWNED_OUT, stored_j <= 0),
            # With nothing to spend no frequency is right, and rules choose 0 Hz, at which no time is enough.
            (Outcome.OUT_OF_ENERGY, energy_j <= 0),
            (Outcome.OUT_OF_TIME, in_time < 1),
            (Outcome.OUT_OF_ENERGY, affordable < 1),
        )
        trains = outcome == Outcome.RETURNED.value
        download_s, upload_s = np.where(trains, download_s, 0.0), np.where(trains, upload_s, 0.0)
        return cost_of_training(opening, outcome, affordable, opening.epoch, download_s, upload_s, in_round=True)

    def start(self, models: Holdings, decision: Decision, trains: BoolArray) -> Tensor:
        """Participants train from their cluster's model at their gateway."""
        return models.start_parameters(decision, trains)

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways combine each cluster's updates in the round they arrive (SemSpaceFL, eq. 2), unless they wait."""
        intake = models.take_in(decision, arrivals)
        aggregate_or_wait(models, decision, intake, arrivals, combine, staleness_power=self.staleness_power)
        return Aggregation(intake, staleness=np.zeros(len(intake.weights), dtype=np.int64))

    def fetches(self, outcome: IntArray) -> BoolArray:
        """Satellites that returned an update; one that diverged starts from its gateway's model next time anyway."""
        return np.asarray(outcome == Outcome.RETURNED.value)
