"""Contacts in which satellites whose updates go down as one have one transfer over the link to their gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from satfl_env.simulation.decision import Decision
from satfl_env.simulation.protocols.relayed_contacts import RelayedContacts
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class PooledContacts(RelayedContacts):
    """Contacts in which a pool has one transfer over the link to its gateway."""

    def sending_s(self, decision: Decision, transmits: BoolArray) -> FloatArray:
        """Time in which each of those that transmit sends its sum to the next one of its pool, or to the sink, (S,).

        What a model takes before it is with its satellite, as from devices on the ground, is part of it.
        """
        members, _, pool = pools(self.sender, decision, transmits)
        pool_of = np.full(len(transmits), -1)
        pool_of[members] = pool
        own, gateway = decision.pairs
        onward, sink = self.via[own, gateway], self.sender[own, gateway]
        while True:
            further = self.via[onward, gateway]
            passes = (onward != sink) & (pool_of[onward] != pool_of) & (further != onward)
            if not passes.any():
                break
            onward = np.where(passes, further, onward)
        left_s, before_s = self.carry_s[onward, gateway], self.carry_s[sink, gateway]
        return np.asarray(self.carry_s[own, gateway] - left_s + before_s)

    def rates_bps(
        self, rates: Callable[[IntArray], FloatArray], decision: Decision, transmits: BoolArray
    ) -> FloatArray:
        """One satellite of each pool takes band, and the others have its rate."""
        members, leaders, pool = pools(self.sender, decision, transmits)
        association = np.full(len(transmits), self.sender.shape[1])
        association[leaders] = decision.association[leaders]
        rate_bps = np.zeros(len(transmits))
        rate_bps[members] = rates(association)[leaders][pool]
        return rate_bps

    def served(self, serves: Callable[[BoolArray], BoolArray], decision: Decision, asks: BoolArray) -> BoolArray:
        """One satellite of each pool asks for band, and the others are served with it."""
        members, leaders, pool = pools(self.sender, decision, asks)
        leads, served = np.zeros_like(asks), np.zeros_like(asks)
        leads[leaders] = True
        served[members] = serves(leads)[leaders][pool]
        return served


def pools(sender: IntArray, decision: Decision, takes_part: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """The satellites of one cluster that reach one gateway through one sink.

    Args:
        sender: The satellite that talks to the gateway for each satellite, (S, G).
        decision: Gateways and clusters.
        takes_part: Satellites that belong to a pool, (S,).

    Returns:
        The satellites that take part, ascending, (R,); the first one of each pool, (K,); the pool of each, (R,).
    """
    members = np.flatnonzero(takes_part)
    gateway, cluster = decision.association[members], decision.cluster[members]
    num_satellites, num_gateways = sender.shape
    code = (sender[members, gateway] * num_gateways + gateway) * num_satellites + cluster
    _, first, pool = np.unique(code, return_index=True, return_inverse=True)
    return members, members[first], pool
