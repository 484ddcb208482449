"""The interface of round protocols, and the records that it uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.orbits import SceneSnapshot
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.state import BoolArray, Decision, FloatArray, IntArray, NetworkState
from satfl_env.simulation.updates import Outcome


@dataclass(frozen=True, eq=False)
class Contacts:
    """How satellites reach gateways.

    Attributes:
        snapshot: The geometry; distance, visibility and window of every pair are those of its sender.
        sender: The satellite that talks to the gateway for each satellite, (S, G).
        carry_s: One-way time that a model takes from the satellite to the sender, (S, G); 0 where it is the sender.
    """

    snapshot: SceneSnapshot
    sender: IntArray
    carry_s: FloatArray


def direct_contacts(snapshot: SceneSnapshot) -> Contacts:
    """Every satellite is its own sender."""
    num_satellites, num_gateways = snapshot.distance_m.shape
    own = np.arange(num_satellites)[:, None].repeat(num_gateways, axis=1)
    return Contacts(snapshot, own, np.zeros((num_satellites, num_gateways)))


@dataclass(frozen=True, eq=False)
class Fetched:
    """The models that satellites have fetched last, each (S,).

    Attributes:
        since_s: Time since then; NaN where a satellite has fetched none.
        version: How often gateways had changed their models by then.
        cpu_hz: CPU frequency decided then.
    """

    since_s: FloatArray
    version: IntArray
    cpu_hz: FloatArray


@dataclass(frozen=True, eq=False)
class Participation:
    """Who trains in a round and what it costs, each (S,); zeros where nobody trains.

    Attributes:
        outcome: `Outcome` of each satellite, as far as it is known before training.
        epochs: Local epochs.
        download_s: Time to fetch the model.
        compute_s: Training time.
        upload_s: Time to return the model.
        compute_energy_j: Energy spent on training.
        transmit_energy_j: Energy spent on returning the model.
        busy_s: Time until the satellite is done with the round.
    """

    outcome: IntArray
    epochs: IntArray
    download_s: FloatArray
    compute_s: FloatArray
    upload_s: FloatArray
    compute_energy_j: FloatArray
    transmit_energy_j: FloatArray
    busy_s: FloatArray

    @property
    def trains(self) -> BoolArray:
        """Satellites that train, (S,)."""
        return np.asarray(self.outcome == Outcome.RETURNED.value)


@dataclass(frozen=True, eq=False)
class Aggregation:
    """How updates counted in a round, each (S,).

    Attributes:
        weights: Weights used; they sum to 1 in each (gateway, cluster) group, 0 for lost updates.
        equal_weights: Satellites in groups whose raw weights were all zero and were made equal.
        staleness: How often models have changed since the satellite fetched the one it trained from.
    """

    weights: FloatArray
    equal_weights: BoolArray
    staleness: IntArray


class RoundProtocol(Protocol):
    """Who trains when, from which model, and when updates count: the steps of a round in which systems differ.

    `OneContact` is the default, and the base class to start from: a protocol of your own overrides what it does
    differently. A protocol keeps no state; what has to last is in the `ModelStore` and in `Fetched`.
    """

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> Contacts:
        """How satellites reach gateways at the start of a round."""

    def participate(
        self,
        state: NetworkState,
        decision: Decision,
        transfer_s: FloatArray,
        fetched: Fetched,
        *,
        transmit_power_w: float,
        cadence_s: float | None,
    ) -> Participation:
        """Who trains, for how many epochs, and what it costs.

        Args:
            state: The network at the start of the round.
            decision: A decision that fits the state.
            transfer_s: One-way model transfer time under the decided association, (S,); infinite without a link.
            fetched: What satellites have fetched in rounds before.
            transmit_power_w: Power drawn while a satellite returns its model.
            cadence_s: If rounds have a fixed length, every satellite must also be done within it.
        """

    def start(self, models: ModelStore, decision: Decision, trains: BoolArray) -> Tensor:
        """The parameters that satellites train from, (S, P)."""

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways aggregate the updates that have arrived."""

    def fetches(self, outcome: IntArray) -> BoolArray:
        """Satellites that leave a round with the model of their gateway, (S,), from their `Outcome`."""
