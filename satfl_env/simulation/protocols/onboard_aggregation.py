"""Aggregation on board: updates are added up on the way to a sink, and one model goes over the link to the gateway.

In the style of N. Razmi, B. Matthiesen, A. Dekorsy, P. Popovski, "On-Board Federated Learning for Dense LEO
Constellations", IEEE ICC 2022 (arXiv 2111.12769), with its partial aggregates, and of FedLEO's sink satellites.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from pydantic import SkipValidation
from pydantic.dataclasses import dataclass

from satfl_env.federated import Combine, combine_groups, gateway_aggregate, normalise_weights, take_rows
from satfl_env.links import Isl, isl_power_w
from satfl_env.orbits import GrazingHeight, SceneSnapshot
from satfl_env.settings import STRICT_WITH_OBJECTS, default_of
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Intake, ModelStore
from satfl_env.simulation.protocols.buffers import aggregate_or_wait
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.pooled_contacts import PooledContacts, pools
from satfl_env.simulation.protocols.relays import Relays, with_isl_power
from satfl_env.simulation.protocols.round_protocol import Aggregation, Fetched, Opening, Participation
from satfl_env.simulation.protocols.topologies import Topology


@dataclass(frozen=True, config=STRICT_WITH_OBJECTS)
class OnboardAggregation(OneContact):
    """Updates of a cluster that reach the same gateway through the same sink are combined there and go down as one.

    The sink fetches one model for all of them as well. Updates are added up hop by hop: whoever is on the way of others
    passes on one model, its own update and theirs, and so draws the power of one model as far as the next one that is
    in the sum, or the sink. It sends when the last update is back; since each leaves time for its way to the sink and
    for the transfer from there, that is in time. Those whose updates go down as one share the energy of that transfer
    in equal parts. (A server rule that is no weighted mean has all updates at the sink; it costs the same here.)

    Attributes:
        topology: Which satellites have links with each other.
        isl: Rate and power of these links.
        grazing_height_m: Height above the equatorial radius that lines of sight between satellites must clear, in
            [0, 1,000,000].
    """

    topology: SkipValidation[Topology]
    isl: SkipValidation[Isl]
    grazing_height_m: GrazingHeight = default_of(Relays, "grazing_height_m")

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> PooledContacts:
        """Through the satellite whose contact leaves the most time, the sink."""
        relays = Relays(self.topology, self.isl, grazing_height_m=self.grazing_height_m)
        relayed = relays.contacts(snapshot, model_bits)
        return PooledContacts(relayed.snapshot, relayed.sender, relayed.carry_s, relayed.via)

    def participate(self, opening: Opening) -> Participation:
        """As in one contact, but for the power."""
        transmits = np.isfinite(opening.upload_s)
        members, _, pool = pools(opening.contacts.sender, opening.decision, transmits)
        sharing = np.ones(len(transmits))
        sharing[members] = np.bincount(pool)[pool]
        alone_w = opening.transmit_power_w
        assert isinstance(opening.contacts, PooledContacts)  # those of `contacts`
        sending_s = opening.contacts.sending_s(opening.decision, transmits) * opening.upload_size
        shared = replace(opening, transmit_power_w=alone_w / sharing)
        return super().participate(with_isl_power(shared, isl_power_w(self.isl, alone_w), sending_s))

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Sinks combine the updates of their pools, and gateways what comes from the sinks, by the same rule.

        A sink's model weighs as much as the updates in it, so that the weighted mean is that of all updates. Where it
        has to wait at its gateway, it counts as one update.
        """
        intake = models.take_in(decision, arrivals)
        sent = _combined_on_board(models.num_shared, decision, intake, arrivals, combine)
        aggregate_or_wait(models, decision, *sent, combine, staleness_power=self.staleness_power)
        return Aggregation(intake, staleness=np.zeros(len(intake.weights), dtype=np.int64))


def _combined_on_board(
    num_shared: int, decision: Decision, intake: Intake, arrivals: Arrivals, combine: Combine
) -> tuple[Intake, Arrivals]:
    """What the first satellite of each pool sends for all of it."""
    members, leaders, pool = pools(arrivals.sender, decision, arrivals.returned)
    if not members.size:
        return intake, arrivals
    start, own = arrivals.start[:, :num_shared], intake.weights[members]
    share, _ = normalise_weights(own, pool)
    received, started = arrivals.received.clone(), arrivals.start.clone()
    received[torch.from_numpy(leaders)] = combine_groups(start, received, members, share, pool, combine)
    # Satellites may have started from different models, as where each has fetched one compressed by its own draws.
    started[torch.from_numpy(leaders), :num_shared] = gateway_aggregate(take_rows(start, members), share, pool)
    weights = np.zeros_like(intake.weights)
    weights[leaders] = np.bincount(pool, weights=own)
    group_of = intake.group_of[np.searchsorted(members, leaders)]
    from_sinks = intake._replace(members=leaders, group_of=group_of, weights=weights)
    return from_sinks, replace(arrivals, start=started, received=received)
