"""Contacts by way of other satellites: through whom, and how long a model takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from satfl_env.links import Isl, link_time_s
from satfl_env.orbits import SceneSnapshot, line_of_sight
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.simulation.protocols.round_protocol import Contacts
from satfl_env.simulation.protocols.topologies import HopTimes, Topology
from satfl_env.simulation.state import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
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
