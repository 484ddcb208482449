"""Updates that arrive one contact late: trained out of sight, returned when the satellite next meets a gateway.

Asynchronous and buffered aggregation in one rule: a gateway waits for `buffer` updates and then moves its model by
their combination. FedSat (Razmi, Matthiesen, Dekorsy, Popovski, IEEE WCL 11(4), 2022) is the case of a buffer of
one; FedBuff (Nguyen et al., AISTATS 2022) that of a larger one, its updates discounted by (1 + staleness)^-1/2. The
power law is that of FedAsync (Xie, Koyejo, Gupta, OPT 2020).
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine, take_rows
from satfl_env.settings import STRICT, Count, Positive
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Holdings, ModelStore
from satfl_env.simulation.protocols.buffers import staleness_discount
from satfl_env.simulation.protocols.costs import cost_of_training, epochs_in_time_and_affordable
from satfl_env.simulation.protocols.epoch_cost import EpochCost
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.round_protocol import (
    Aggregation,
    Fetched,
    Opening,
    Participation,
)
from satfl_env.simulation.state import BoolArray, IntArray
from satfl_env.simulation.updates import Outcome, first_reason


@dataclass(frozen=True, config=STRICT)
class LateUpdates(OneContact):
    """Updates are trained between two contacts and returned at the second (FedSat, FedBuff).

    Attributes:
        buffer: Updates of a cluster that a gateway waits for before it changes the model, unless the decision says
            otherwise.
        staleness_power: An update is weighted by (1 + staleness)^-power, where staleness is the number of times that
            the models have changed since its model was fetched.
        server_rate: What the combined updates of a buffer are multiplied by: FedBuff's step size. A server optimiser's
            own `server_rate` comes after it.
    """

    buffer: Count = 1
    server_rate: Positive = 1.0

    def participate(self, opening: Opening) -> Participation:
        """Satellites return what they have trained since their last contact; only the transfers have to fit this one.

        The energy is taken from this round's budget, although it was spent on the way. A satellite that has fetched no
        model yet, or fetched one at 0 Hz, only fetches. One whose battery does not carry the transfers browns out.
        """
        fetched = opening.fetched
        fits = opening.visible & (opening.download_s + opening.upload_s <= opening.window_s)
        # What was fetched at 0 Hz never gets trained.
        never = np.isnan(fetched.since_s) | (fetched.cpu_hz <= 0)
        away_s = np.where(never, 0.0, fetched.since_s)
        download_s, upload_s = np.where(fits, opening.download_s, 0.0), np.where(fits, opening.upload_s, 0.0)
        # Standing power on the way has been drawn in rounds before.
        epoch = EpochCost.at(fetched.cpu_hz, opening.state, standing_w=0.0)
        energy_j, stored_j = opening.spendable_j(upload_s), opening.left_j(download_s, upload_s)
        in_time, affordable = epochs_in_time_and_affordable(epoch, away_s, energy_j, stored_j)
        outcome = first_reason(
            (Outcome.SAT_OUT, ~opening.decision.associated),
            (Outcome.NOT_VISIBLE, ~opening.visible),
            (Outcome.OUT_OF_TIME, ~fits),
            (Outcome.BROWNED_OUT, stored_j <= 0),
            (Outcome.FETCHED, never),
            (Outcome.OUT_OF_TIME, in_time < 1),
            (Outcome.OUT_OF_ENERGY, affordable < 1),
        )
        download_s = np.where(self.fetches(outcome), opening.download_s, 0.0)
        upload_s = np.where(outcome == Outcome.RETURNED.value, opening.upload_s, 0.0)
        return cost_of_training(opening, outcome, affordable, epoch, download_s, upload_s, in_round=False)

    def start(self, models: Holdings, decision: Decision, trains: BoolArray) -> Tensor:
        """Satellites have trained from the model they hold, the one they fetched."""
        return models.held

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways collect updates until there are enough of them (FedBuff, Algorithm 1)."""
        staleness = np.where(arrivals.returned, models.version - fetched.version, 0)
        discount = torch.from_numpy(staleness_discount(staleness, self.staleness_power))
        updates = arrivals.received - arrivals.start[:, : models.num_shared]
        updates = discount.to(updates)[:, None] * updates
        intake = models.take_in(decision, arrivals)
        models.wait(intake, take_rows(updates, intake.members), fetched.version[intake.members])
        full = [
            group
            for group, waiting in models.waiting.items()
            if decision.aggregates(group[0], scheduled=len(waiting.updates) >= self.buffer)
        ]
        models.version += bool(full)
        for group in full:
            models.move(group, combine, self.server_rate)
        return Aggregation(intake, staleness)

    def fetches(self, outcome: IntArray) -> BoolArray:
        """All satellites that met their gateway, including those whose training diverged."""
        return np.isin(outcome, (Outcome.RETURNED, Outcome.FETCHED, Outcome.DIVERGED))
