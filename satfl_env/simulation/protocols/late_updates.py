"""Updates that arrive one contact late: trained out of sight, returned when the satellite next meets a gateway.

Asynchronous and buffered aggregation in one rule: a gateway waits for `buffer` updates and then moves its model by
their combination. FedBuff (Nguyen et al., AISTATS 2022) has a buffer of several, its updates discounted by
(1 + staleness)^-1/2. The power law is that of FedAsync (Xie, Koyejo, Gupta, OPT 2020).
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic.dataclasses import dataclass

from satfl_env.federated import Combine, take_rows
from satfl_env.settings import STRICT, Count, NonNegative, Positive, default_of
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols.buffers import staleness_discount
from satfl_env.simulation.protocols.next_contact import NextContact, staleness_at_arrival
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.round_protocol import Aggregation, Fetched


@dataclass(frozen=True, config=STRICT)
class BufferedUpdates(NextContact):
    """Updates are trained between two contacts, returned at the second, and collected in a buffer at their gateway.

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
    staleness_power: NonNegative = default_of(OneContact, "staleness_power")

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways collect updates until there are enough of them (FedBuff, Algorithm 1)."""
        staleness = staleness_at_arrival(models, arrivals, fetched)
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


@dataclass(frozen=True, config=STRICT)
class LateUpdates(BufferedUpdates):
    """Buffered updates as they are: FedBuff, and with a buffer of one asynchronous updates."""

    kind: Literal["buffered"] = "buffered"
