"""Relays inside an orbital plane: a satellite out of a gateway's sight uses one of its plane that is in sight.

In the style of FedLEO (M. Elmahallawy, T. Luo, "Optimizing Federated Learning in LEO Satellite Constellations via
Intra-Plane Model Propagation and Sink Satellite Scheduling", IEEE ICC 2023): models of a plane travel over
inter-satellite links to and from its sink, here the satellite whose contact with the gateway leaves the most time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import ConfigDict, SkipValidation
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.links import link_time_s
from satfl_env.orbits import SceneSnapshot, line_of_sight
from satfl_env.settings import STRICT, Count, Positive
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.round_protocol import (
    Aggregation,
    Contacts,
    Fetched,
    Opening,
    Participation,
    RoundProtocol,
)
from satfl_env.simulation.state import BoolArray, Decision, FloatArray, IntArray


@dataclass(frozen=True, config=ConfigDict(**STRICT, arbitrary_types_allowed=True))
class PlaneRelays:
    """Satellites reach gateways through others of their orbital plane; the rest is left to another protocol.

    Attributes:
        num_planes: Orbital planes, all of one size; satellites are numbered plane by plane.
        isl_rate_bps: Rate of every inter-satellite link in bit/s.
        protocol: The protocol of the round.
    """

    num_planes: Count
    isl_rate_bps: Positive
    protocol: SkipValidation[RoundProtocol] = OneContact()

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> Contacts:
        """Through the satellite of the plane whose contact leaves the most time."""
        return plane_contacts(snapshot, self.num_planes, model_bits, self.isl_rate_bps)

    def participate(self, opening: Opening) -> Participation:
        """See `protocol`."""
        return self.protocol.participate(opening)

    def start(self, models: ModelStore, decision: Decision, trains: BoolArray) -> Tensor:
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


def plane_contacts(snapshot: SceneSnapshot, num_planes: int, model_bits: float, isl_rate_bps: float) -> Contacts:
    """Contacts through the relays that leave each pair the most time.

    Args:
        snapshot: The geometry; satellites are numbered plane by plane, all planes of one size N.
        num_planes: P.
        model_bits: Size of a model.
        isl_rate_bps: Rate of every inter-satellite link, positive; links exist where the Earth is not in the way.
    """
    num_satellites, num_gateways = snapshot.distance_m.shape
    carry_s = _carrying_times_s(snapshot.position_m.reshape(num_planes, -1, 3), model_bits, isl_rate_bps)
    visible, window_s = (it.reshape(num_planes, 1, -1, num_gateways) for it in (snapshot.visible, snapshot.window_s))
    # Time left for training and the gateway's link, by plane, satellite, relay and gateway.
    left_s = np.where(visible, window_s - 2 * carry_s[..., None], -np.inf)
    best = left_s.argmax(axis=2)
    reached = (left_s.max(axis=2) > 0).reshape(num_satellites, num_gateways)
    plane, own = np.divmod(np.arange(num_satellites), num_satellites // num_planes)
    relay = best.reshape(num_satellites, num_gateways)
    carry = np.where(reached, carry_s[plane[:, None], own[:, None], relay], 0.0)
    relay = np.where(
        reached, plane[:, None] * (num_satellites // num_planes) + relay, np.arange(num_satellites)[:, None]
    )
    gateway = np.arange(num_gateways)
    relayed = replace(
        snapshot,
        distance_m=snapshot.distance_m[relay, gateway],
        visible=reached,
        window_s=np.where(reached, snapshot.window_s[relay, gateway], 0.0),
        sender=relay,
    )
    return Contacts(relayed, relay, carry)


def _carrying_times_s(position_m: FloatArray, model_bits: float, isl_rate_bps: float) -> FloatArray:
    """Shortest time from each satellite of a plane to each other, store and forward, (P, N, 3) -> (P, N, N)."""
    one, other = position_m[:, :, None], position_m[:, None]
    distance_m = np.linalg.norm(one - other, axis=-1)
    hop_s = link_time_s(model_bits, np.full_like(distance_m, isl_rate_bps), distance_m)
    time_s = np.where(line_of_sight(one, other), hop_s, np.inf)
    members = np.arange(position_m.shape[1])
    time_s[:, members, members] = 0.0
    # Floyd and Warshall's shortest paths, all planes at once.
    for via in members:
        time_s = np.minimum(time_s, time_s[:, :, via, None] + time_s[:, None, via])
    return time_s
