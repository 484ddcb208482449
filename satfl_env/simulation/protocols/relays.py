"""Relays: a satellite out of a gateway's sight reaches it over links between satellites, through one that is in sight.

In the style of FedLEO (M. Elmahallawy, T. Luo, "Optimizing Federated Learning in LEO Satellite Constellations via
Intra-Plane Model Propagation and Sink Satellite Scheduling", IEEE ICC 2023): models travel over inter-satellite links
to and from a sink, here the satellite whose contact with the gateway leaves the most time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pydantic import SkipValidation, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.links import Isl
from satfl_env.orbits import GrazingHeight, SceneSnapshot
from satfl_env.settings import STRICT_WITH_OBJECTS, Each
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Holdings, ModelStore
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.relayed_contacts import RelayedContacts, hop_time_s, relayed_contacts
from satfl_env.simulation.protocols.round_protocol import (
    Aggregation,
    Contacts,
    Fetched,
    Opening,
    Participation,
    RoundProtocol,
)
from satfl_env.simulation.protocols.topologies import Topology
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, config=STRICT_WITH_OBJECTS)
class Relays:
    """Satellites reach gateways through others that they have links with; the rest is left to another protocol.

    Attributes:
        topology: Which satellites have links with each other.
        isl: Rate and power of these links.
        protocol: The protocol of the round, which has no links between satellites of its own.
        grazing_height_m: Height above the equatorial radius that lines of sight between satellites must clear, in
            [0, 1,000,000].
    """

    topology: SkipValidation[Topology]
    isl: SkipValidation[Isl]
    protocol: SkipValidation[RoundProtocol] = OneContact()
    grazing_height_m: GrazingHeight = 0.0

    @model_validator(mode="after")
    def _protocol_has_no_links(self) -> Relays:
        if hasattr(self.protocol, "topology"):
            name = type(self.protocol).__name__
            raise ValueError(f"protocol must have no links of its own, got {name}: it goes without Relays")
        return self

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
