"""Round protocols: who trains when, from which model, and when updates count."""

from __future__ import annotations

from satfl_env.simulation.protocols.asyncfleo import AsyncFLEO
from satfl_env.simulation.protocols.buffers import aggregate_or_wait, staleness_discount
from satfl_env.simulation.protocols.edge_servers import ClientHz, EdgeServers
from satfl_env.simulation.protocols.exchanges import Neighbours, Ring, Stage
from satfl_env.simulation.protocols.fedasync import FedAsync
from satfl_env.simulation.protocols.fedgsm import FedGSM
from satfl_env.simulation.protocols.fedsat import FedSat
from satfl_env.simulation.protocols.gossip import Gossip
from satfl_env.simulation.protocols.late_updates import BufferedUpdates, LateUpdates
from satfl_env.simulation.protocols.next_contact import NextContact
from satfl_env.simulation.protocols.onboard_aggregation import OnboardAggregation
from satfl_env.simulation.protocols.one_contact import OneContact
from satfl_env.simulation.protocols.relayed_contacts import relayed_contacts
from satfl_env.simulation.protocols.relays import Relays
from satfl_env.simulation.protocols.round_protocol import (
    Aggregation,
    Contacts,
    Fetched,
    Opening,
    Participation,
    RoundProtocol,
    Transfers,
    direct_contacts,
)
from satfl_env.simulation.protocols.topologies import GridLinks, PlaneLinks, Topology
from satfl_env.simulation.protocols.transmitters import settle

__all__ = [
    "Aggregation",
    "AsyncFLEO",
    "BufferedUpdates",
    "ClientHz",
    "Contacts",
    "EdgeServers",
    "FedAsync",
    "FedGSM",
    "FedSat",
    "Fetched",
    "Gossip",
    "GridLinks",
    "LateUpdates",
    "Neighbours",
    "NextContact",
    "OnboardAggregation",
    "OneContact",
    "Opening",
    "Participation",
    "PlaneLinks",
    "Relays",
    "Ring",
    "RoundProtocol",
    "Stage",
    "Topology",
    "Transfers",
    "aggregate_or_wait",
    "direct_contacts",
    "relayed_contacts",
    "settle",
    "staleness_discount",
]
