"""How satellites reach each other where no gateway takes part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from satfl_env.simulation.decision import Decision
from satfl_env.simulation.protocols.isl_graph import IslGraph
from satfl_env.simulation.protocols.round_protocol import Contacts
from satfl_env.simulation.state import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class PeerContacts(Contacts):
    """How satellites reach each other; gateways and their band do not matter.

    Attributes:
        graph: The links between satellites.
        exchange_s: Time of an exchange in which all take part, (S,).
    """

    graph: IslGraph
    exchange_s: FloatArray

    def round_trip_s(self, alone_s: FloatArray) -> FloatArray:
        """The time of the exchange."""
        return np.broadcast_to(self.exchange_s[:, None], alone_s.shape)

    def rates_bps(self, rates: object, decision: Decision, transmits: BoolArray) -> FloatArray:
        """Nobody takes band."""
        return np.zeros(len(transmits))

    def served(self, serves: object, decision: Decision, asks: BoolArray) -> BoolArray:
        """Nobody needs to be served."""
        return asks
