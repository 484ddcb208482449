"""The round loop: composes orbits, links, onboard, data, semantics and federated; knows nothing of RL."""

from __future__ import annotations

from satfl_env.simulation.access import Access, GatewayAccess
from satfl_env.simulation.decision import OPTIONAL_CHOICES, Decision, When, check_decision
from satfl_env.simulation.evaluation import Evaluation
from satfl_env.simulation.faults import FaultModel, Faults, Outages, Renewals
from satfl_env.simulation.federated_data import FederatedData
from satfl_env.simulation.fleet import Fleet, Kind, Kinds
from satfl_env.simulation.ingredients import DataFacts, DataPart, Ingredients, ScenePart, data_facts, most_samples
from satfl_env.simulation.learner import FirstDecoders, Learner, PhysicsOnly, Tested
from satfl_env.simulation.local_terms import (
    ControlVariates,
    FedProx,
    LocalRule,
    LocalTerms,
    PlainLoss,
    Scaffold,
)
from satfl_env.simulation.parts import PARTS, check_parts, try_parts
from satfl_env.simulation.protocols import (
    AsyncFLEO,
    BufferedUpdates,
    ClientHz,
    EdgeServers,
    FedAsync,
    FedGSM,
    FedSat,
    Gossip,
    GridLinks,
    LateUpdates,
    Neighbours,
    OnboardAggregation,
    OneContact,
    PlaneLinks,
    Relays,
    Ring,
    RoundProtocol,
    Topology,
)
from satfl_env.simulation.remote import ClientJob, ClientResult, RemoteRound, train_client
from satfl_env.simulation.rounds import RoundSettings
from satfl_env.simulation.simulation import Simulation
from satfl_env.simulation.state import MORE_PARTS, STATE_PARTS, NetworkState, RoundReport
from satfl_env.simulation.structures import Structures
from satfl_env.simulation.together import SimulationGroup
from satfl_env.simulation.updates import Outcome
from satfl_env.simulation.upload_positions import UPLOAD_POSITIONS, PositionsAt

__all__ = [
    "MORE_PARTS",
    "OPTIONAL_CHOICES",
    "PARTS",
    "STATE_PARTS",
    "UPLOAD_POSITIONS",
    "Access",
    "AsyncFLEO",
    "BufferedUpdates",
    "ClientHz",
    "ClientJob",
    "ClientResult",
    "ControlVariates",
    "DataFacts",
    "DataPart",
    "Decision",
    "EdgeServers",
    "Evaluation",
    "FaultModel",
    "Faults",
    "FedAsync",
    "FedGSM",
    "FedProx",
    "FedSat",
    "FederatedData",
    "FirstDecoders",
    "Fleet",
    "GatewayAccess",
    "Gossip",
    "GridLinks",
    "Ingredients",
    "Kind",
    "Kinds",
    "LateUpdates",
    "Learner",
    "LocalRule",
    "LocalTerms",
    "Neighbours",
    "NetworkState",
    "OnboardAggregation",
    "OneContact",
    "Outages",
    "Outcome",
    "PhysicsOnly",
    "PlainLoss",
    "PlaneLinks",
    "PositionsAt",
    "Relays",
    "RemoteRound",
    "Renewals",
    "Ring",
    "RoundProtocol",
    "RoundReport",
    "RoundSettings",
    "Scaffold",
    "ScenePart",
    "Simulation",
    "SimulationGroup",
    "Structures",
    "Tested",
    "Topology",
    "When",
    "check_decision",
    "check_parts",
    "data_facts",
    "most_samples",
    "train_client",
    "try_parts",
]
