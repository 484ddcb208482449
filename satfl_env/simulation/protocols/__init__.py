"""Round protocols: who trains when, from which model, and when updates count."""

from __future__ import annotations

from satfl_env.simulation.protocols.late_updates import LateUpdates, staleness_discount
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.plane_relays import PlaneRelays, plane_contacts
from satfl_env.simulation.protocols.round_protocol import (
    Aggregation,
    Contacts,
    Fetched,
    Opening,
    Participation,
    RoundProtocol,
    direct_contacts,
)
from satfl_env.simulation.protocols.transmitters import Transfers, settle

__all__ = [
    "Aggregation",
    "Contacts",
    "Fetched",
    "LateUpdates",
    "OneContact",
    "Opening",
    "Participation",
    "PlaneRelays",
    "RoundProtocol",
    "Transfers",
    "direct_contacts",
    "plane_contacts",
    "settle",
    "staleness_discount",
]
