"""What protocols have in common in which every satellite talks to its gateway itself."""

from __future__ import annotations

from satfl_env.orbits import SceneSnapshot
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols.round_protocol import Contacts, direct_contacts
from satfl_env.simulation.state import BoolArray


class Direct:
    """Satellites meet gateways in contacts of their own, and get their models."""

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> Contacts:
        """Every satellite talks to gateways directly."""
        return direct_contacts(snapshot)

    def hand_out(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, contacts: Contacts, fetches: BoolArray
    ) -> None:
        """Satellites that fetch get their gateway's model."""
        models.distribute(decision, fetches)
