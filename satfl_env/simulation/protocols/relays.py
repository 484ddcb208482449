"""Relays: a satellite out of a gateway's sight reaches it over links between satellites, through one that is in sight.

In the style of FedLEO (M. Elmahallawy, T. Luo, "Optimizing Federated Learning in LEO Satellite Constellations via
Intra-Plane Model Propagation and Sink Satellite Scheduling", IEEE ICC 2023): models travel over inter-satellite links
to and from a sink, here the satellite whose contact with the gateway leaves the most time.
"""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from functools import partial

import numpy as np
from pydantic import SkipValidation
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.links import Isl, link_time_s
from satfl_env.orbits import GrazingHeight, SceneSnapshot, line_of_sight
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.settings import STRICT_WITH_OBJECTS, Each
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Holdings, ModelStore
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.round_protocol import (
    Aggregation,
    Contacts,
    Fetched,
    Opening,
    Participation,
    RoundProtocol,
)
from satfl_env.simulation.protocols.topologies import HopTimes, Topology
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, config=STRICT_WITH_OBJECTS)
class Relays:
    """Satellites reach gateways through others that they have links with; the rest is left to another protocol.

    Attributes:
        topology: Which satellites have links with each other.
        isl: Rate and power of these links.
        protocol: The protocol of the round.
        grazing_height_m: Height above the equatorial radius that lines of sight between satellites must clear, in
            [0, 1,000,000].
    """

    topology: SkipValidation[Topology]
    isl: SkipValidation[Isl]
    protocol: SkipValidation[RoundProtocol] = OneContact()
    grazing_height_m: GrazingHeight = 0.0

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> RelayedContacts:
        """Through the satellite whose contact leaves the most time."""
        return relayed_contacts(snapshot, self.topology, partial(self._hop_s, model_bits))

    def participate(self, opening: Opening) -> Participation:
        """See `protocol`; between satellites a model is sent with the power of these links."""
        return self.protocol.participate(with_isl_power(opening, self.isl.transmit_power_w, opening.relayed_s))

    def start(self, models: Holdings, decision: Decision, trains: BoolArray) -> Tensor:
        """See `protocol`."""
        return self.protocol.start(models, decision, trains)

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """See `protocol`."""
        return self.protocol.aggregate(models, decision, arrivals, fetched, combine)

    def fetches(self, outcome: IntArray) -> BoolArray:
        """See `protocol`."""
        return self.protocol.fetches(outcome)

    def hand_out(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, contacts: Contacts, fetches: BoolArray
    ) -> None:
        """See `protocol`."""
        self.protocol.hand_out(models, decision, arrivals, contacts, fetches)

    def _hop_s(self, model_bits: float, one_m: FloatArray, other_m: FloatArray) -> FloatArray:
        return hop_time_s(model_bits, one_m, other_m, isl=self.isl, grazing_height_m=self.grazing_height_m)


@plain_dataclass(frozen=True, eq=False)
class RelayedContacts(Contacts):
    """Contacts by way of other satellites.

    Attributes:
        via: The satellite that each sends to next on its way to the sender, (S, G); itself where it is the sender.
    """

    via: IntArray


def hop_time_s(
    model_bits: float, one_m: FloatArray, other_m: FloatArray, *, isl: Isl, grazing_height_m: float
) -> FloatArray:
    """Time that a model takes from one place to another, (..., 3) each -> (...).

    It is infinite where the Earth is in the way, or a place is NaN.
    """
    distance_m = np.linalg.norm(one_m - other_m, axis=-1)
    hop_s = link_time_s(model_bits, isl.rates_bps(distance_m), distance_m)
    clear = line_of_sight(one_m, other_m, blocking_radius_m=EQUATORIAL_RADIUS_M + grazing_height_m)
    return np.where(clear & np.isfinite(hop_s), hop_s, np.inf)


def relayed_contacts(snapshot: SceneSnapshot, topology: Topology, hop_s: HopTimes) -> RelayedContacts:
    """Contacts through the satellites that leave each pair the most time.

    Args:
        snapshot: The geometry.
        topology: Which satellites have links with each other.
        hop_s: Time that a model takes over one of them.
    """
    num_satellites, num_gateways = snapshot.distance_m.shape
    own = np.arange(num_satellites)
    sender = np.repeat(own[:, None], num_gateways, axis=1)
    via = sender.copy()
    carry_s, reached = np.zeros(sender.shape), np.zeros(sender.shape, dtype=np.bool_)
    sinks = np.flatnonzero(snapshot.visible.any(axis=1))
    from_sink_s, onward = topology.ways(working_m(snapshot), sinks, hop_s)
    for gateway in np.flatnonzero(snapshot.visible.any(axis=0)):
        seen = np.flatnonzero(snapshot.visible[sinks, gateway])
        # Time left for training and the gateway's link, by sink and satellite.
        left_s = snapshot.window_s[sinks[seen], gateway][:, None] - 2 * from_sink_s[seen]
        best = left_s.argmax(axis=0)
        there = left_s[best, own] > 0
        reached[:, gateway] = there
        sender[there, gateway] = sinks[seen[best[there]]]
        carry_s[there, gateway], via[there, gateway] = (it[seen[best], own][there] for it in (from_sink_s, onward))
    of_gateway = np.arange(num_gateways)
    relayed = replace(
        snapshot,
        distance_m=snapshot.distance_m[sender, of_gateway],
        visible=reached,
        window_s=np.where(reached, snapshot.window_s[sender, of_gateway], 0.0),
        sender=sender,
    )
    return RelayedContacts(relayed, sender, carry_s, via)


def working_m(snapshot: SceneSnapshot) -> FloatArray:
    """Positions of the satellites that work, NaN for the others: no model goes by way of them, (S, 3)."""
    if snapshot.satellite_up is None:
        return snapshot.position_m
    return np.where(snapshot.satellite_up[:, None], snapshot.position_m, np.nan)


def with_isl_power(opening: Opening, isl_power_w: Each | None, sending_s: FloatArray) -> Opening:
    """The round's opening with the mean power over an upload, part of which goes from satellite to satellite.

    Args:
        opening: The round at its start.
        isl_power_w: Power drawn while a model is sent to another satellite, one number or (S,); None: that of the link
            to the gateway, if each draws it all the way.
        sending_s: Time in which each draws it, (S,): all of the way, or a part of it.
    """
    if isl_power_w is None:
        return opening
    to_gateway, sending = 1 - opening.relayed_s / opening.upload_s, sending_s / opening.upload_s
    return replace(opening, transmit_power_w=opening.transmit_power_w * to_gateway + isl_power_w * sending)
