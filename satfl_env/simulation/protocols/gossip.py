"""Learning without a server: satellites train, and average their models with each other over inter-satellite links.

Decentralised gradient descent with local steps: X. Lian et al., "Can Decentralized Algorithms Outperform Centralized
Algorithms?", NeurIPS 2017. Over the two kinds of links of a constellation, inside a plane and across planes: M. Yang,
J. Zhang, S. Liu, "DFedSat: Communication-Efficient and Robust Decentralized Federated Learning for LEO Satellite
Constellations", arXiv 2407.05850.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from pydantic import SkipValidation
from pydantic.dataclasses import dataclass

from satfl_env.federated import Combine, take_rows, write_rows
from satfl_env.links import Isl, isl_power_w
from satfl_env.orbits import GrazingHeight, SceneSnapshot
from satfl_env.settings import STRICT_WITH_OBJECTS, Positive, default_of
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Holdings, ModelStore
from satfl_env.simulation.protocols.exchanges import Exchange, Neighbours, Stage, one_after_another
from satfl_env.simulation.protocols.isl_graph import IslGraph, isl_graph
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.peer_contacts import PeerContacts
from satfl_env.simulation.protocols.relays import Relays
from satfl_env.simulation.protocols.round_protocol import (
    Aggregation,
    Contacts,
    Fetched,
    Opening,
    Participation,
    Transfers,
)
from satfl_env.simulation.protocols.topologies import GridLinks
from satfl_env.simulation.state import BoolArray


@dataclass(frozen=True, config=STRICT_WITH_OBJECTS)
class Gossip(OneContact):
    """Every satellite keeps a model of its own, trains it, and averages it with those that it has links with.

    No gateway takes part: who is associated with one, whichever, takes part in the round, and pairs are visible where
    the satellite has a link to another. All that take part train first and exchange then; satellites of different
    clusters do not. Weights of the decision are not used: the averages are doubly stochastic. Who takes part alone,
    because no neighbour does, trains and keeps its model.

    A satellite has a terminal for each of its links, all of which send at a time. It needs the power of each for as
    long as that sends.

    Attributes:
        topology: Which satellites have links with each other.
        isl: Rate and power of these links.
        stages: How models are averaged, one stage after the other.
        grazing_height_m: Height above the equatorial radius that lines of sight between satellites must clear, in
            [0, 1,000,000].
        round_s: Time for training and for the exchange after it, which no contact ends. It is the window of all pairs.
    """

    topology: SkipValidation[GridLinks]
    isl: SkipValidation[Isl]
    stages: SkipValidation[tuple[Stage, ...]] = (Neighbours(),)
    grazing_height_m: GrazingHeight = default_of(Relays, "grazing_height_m")
    round_s: Positive = 600.0

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> PeerContacts:
        """Those of satellites with each other, the same for every gateway."""
        graph = isl_graph(snapshot, self.topology, self.isl, model_bits, self.grazing_height_m)
        exchange = self._exchange(graph)
        pairs = snapshot.distance_m.shape
        linked = np.broadcast_to(graph.degree[:, None] > 0, pairs)
        among = replace(snapshot, visible=linked, window_s=np.where(linked, self.round_s, 0.0))
        own = np.arange(pairs[0])[:, None].repeat(pairs[1], axis=1)
        return PeerContacts(among, own, np.zeros(pairs), graph, exchange.time_s)

    def participate(self, opening: Opening) -> Participation:
        """Satellites train if an epoch and the exchange fit the round and the energy.

        Who drops out takes transfers off its neighbours, so that those who would take part still do.
        """
        asked = self._with_exchange(opening, opening.visible)
        decision = opening.decision
        staying = np.where(asked.trains, decision.association, opening.state.sits_out)
        among = replace(opening, decision=replace(decision, association=staying))
        part = self._with_exchange(among, asked.trains)
        return replace(part, outcome=np.where(asked.trains, part.outcome, asked.outcome))

    def start(self, models: Holdings, decision: Decision, trains: BoolArray) -> torch.Tensor:
        """Satellites train from the model that they hold."""
        return models.held

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """No gateway aggregates: satellites hold what they have trained, and all count the same."""
        everyone_alike = replace(decision, weights=np.ones(len(decision.weights)))
        intake = models.take_in(everyone_alike, arrivals)
        models.version += bool(intake.members.size)
        return Aggregation(intake, staleness=np.zeros(len(intake.weights), dtype=np.int64))

    def hand_out(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, contacts: Contacts, fetches: BoolArray
    ) -> None:
        """Satellites whose models have arrived at their neighbours average what they have with what has arrived."""
        graph = _graph(contacts).among(arrivals.returned, decision.cluster)
        members = np.flatnonzero(fetches)
        weights = torch.from_numpy(self._exchange(graph).mixing[np.ix_(members, members)]).to(arrivals.received)
        federated = models.held[:, : models.num_shared]
        # What a satellite has of its own has not been on any link.
        mixed = weights.diagonal()[:, None] * take_rows(federated, members)
        mixed += weights.fill_diagonal_(0.0) @ take_rows(arrivals.received, members)
        write_rows(federated, members, mixed, np.arange(len(members)))

    def _with_exchange(self, opening: Opening, takes_part: BoolArray) -> Participation:
        """What the round costs if these satellites, (S,), exchange their models."""
        exchange = self._exchange(_graph(opening.contacts).among(takes_part, opening.decision.cluster))
        upload_s, sending_s = exchange.time_s * opening.upload_size, exchange.sending_s * opening.upload_size
        share = np.divide(sending_s, upload_s, out=np.zeros_like(upload_s), where=upload_s > 0)
        mean_w = isl_power_w(self.isl, opening.transmit_power_w) * share
        timed = replace(opening, transmit_power_w=mean_w).with_transfers(
            Transfers(np.zeros_like(upload_s), upload_s, opening.upload_size)
        )
        part = super().participate(timed)
        return replace(part, sends=exchange.sends)

    def _exchange(self, graph: IslGraph) -> Exchange:
        return one_after_another([stage.exchange(graph) for stage in self.stages])


def _graph(contacts: Contacts) -> IslGraph:
    assert isinstance(contacts, PeerContacts)  # those of `Gossip.contacts`
    return contacts.graph
