"""The interface of round protocols, and the records that it uses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.orbits import SceneSnapshot
from satfl_env.settings import Each
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Holdings, Intake, ModelStore
from satfl_env.simulation.protocols.epoch_cost import EpochCost
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray, NetworkState
from satfl_env.simulation.updates import Outcome, uses_links


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

    def round_trip_s(self, alone_s: FloatArray) -> FloatArray:
        """Time to fetch a model and return one if nobody else takes band, (S, G).

        Args:
            alone_s: That of one way over the gateway's link, (S, G).
        """
        return 2 * (alone_s + self.carry_s)

    def rates_bps(
        self, rates: Callable[[IntArray], FloatArray], decision: Decision, transmits: BoolArray
    ) -> FloatArray:
        """Rates of the links to the gateways, (S,), 0 for those that do not transmit.

        Args:
            rates: Gives the rates, (S,), from the gateway of each satellite that takes band, G for the others, (S,).
            decision: Who is associated with which gateway.
            transmits: Those that transmit, (S,); each takes band of its own.
        """
        return rates(np.where(transmits, decision.association, self.sender.shape[1]))

    def served(self, serves: Callable[[BoolArray], BoolArray], decision: Decision, asks: BoolArray) -> BoolArray:
        """Those that gateways serve, (S,).

        Args:
            serves: Gives whom gateways serve, (S,), from the satellites that ask for band, (S,).
            decision: Who is associated with which gateway.
            asks: Those that could take part alone, (S,); each asks for band of its own.
        """
        return serves(asks)


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


class Transfers(NamedTuple):
    """How long model transfers take, (S,); infinite for satellites that do not transmit.

    Attributes:
        download_s: Time to fetch a model.
        upload_s: Time to return one.
        upload_size: Bits of one that is returned, as a share of those of a model of mean size, one number or (S,).
    """

    download_s: FloatArray
    upload_s: FloatArray
    upload_size: Each = 1.0


@dataclass(frozen=True, eq=False)
class Opening:
    """What is known when a round opens.

    Attributes:
        state: The network at the start of the round.
        decision: A decision that fits the state.
        download_s: Time to fetch a model at the decided gateway, (S,), with the band shared among those who still take
            part; infinite for the others. See `settle`.
        upload_s: Time to return one, (S,), likewise.
        fetched: The models that satellites have fetched in rounds before.
        transmit_power_w: Power drawn while a satellite returns its model, one number or (S,).
        counts_transmission: Whether that takes from `state.energy_j`.
        limit_s: Time that the round leaves everyone; infinite without a cadence.
        stored_j: Energy that each satellite has before it browns out, (S,); infinite where that cannot happen.
        standing_w: Power that satellites draw all the time, from what is stored, one number or (S,).
        contacts: How satellites reach gateways.
        upload_size: Bits of a model that is returned, as a share of those that `contacts.carry_s` holds for, one number
            or (S,).
    """

    state: NetworkState
    decision: Decision
    download_s: FloatArray
    upload_s: FloatArray
    fetched: Fetched
    transmit_power_w: Each
    counts_transmission: bool
    limit_s: float
    stored_j: FloatArray
    standing_w: Each
    contacts: Contacts
    upload_size: Each

    @cached_property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """Index of each satellite's own entry in an array (S, G); see `Decision.pairs`."""
        return self.decision.pairs

    @cached_property
    def associated(self) -> BoolArray:
        """Satellites that are associated with a gateway, (S,)."""
        return self.decision.associated

    @cached_property
    def visible(self) -> BoolArray:
        """Satellites that are associated with a gateway in sight, (S,)."""
        return self.associated & self.state.visible[self.pairs]

    @cached_property
    def window_s(self) -> FloatArray:
        """Time that each satellite has at its gateway, at most what the round leaves it, (S,); 0 out of sight."""
        return np.minimum(np.where(self.visible, self.state.window_s[self.pairs], 0.0), self.limit_s)

    @cached_property
    def epoch(self) -> EpochCost:
        """What an epoch costs at the decided CPU frequencies."""
        return EpochCost.at(self.decision.cpu_frequency, self.state, self.standing_w)

    @property
    def relayed_s(self) -> FloatArray:
        """Time that a model takes on its way back from its satellite to the one that sends it down, (S,)."""
        return self.contacts.carry_s[self.pairs] * self.upload_size

    @property
    def counted_power_w(self) -> Each:
        """Power that takes from `state.energy_j` while a satellite returns its model, one number or (S,)."""
        return self.counts_transmission * self.transmit_power_w

    def with_transfers(self, transfers: Transfers) -> Opening:
        """The round with other transfers; what does not depend on them is not computed again."""
        opening = copy.copy(self)
        vars(opening).update(transfers._asdict())
        return opening

    def spendable_j(self, upload_s: FloatArray) -> FloatArray:
        """Energy that may be spent on training, less the upload where that counts, (S,), from its time, (S,)."""
        return np.asarray(self.state.energy_j - self.counted_power_w * upload_s)

    def left_j(self, download_s: FloatArray, upload_s: FloatArray) -> FloatArray:
        """What fetching a model and returning one leave of the energy stored, (S,), from their times, each (S,).

        It is not positive where satellites brown out.
        """
        carry_j = self.transmit_power_w * upload_s + self.standing_w * (download_s + upload_s)
        return np.asarray(self.stored_j - carry_j)


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
        sends: Models that it sends, one number or (S,): one to its gateway, or one to each of several satellites.
    """

    outcome: IntArray
    epochs: IntArray
    download_s: FloatArray
    compute_s: FloatArray
    upload_s: FloatArray
    compute_energy_j: FloatArray
    transmit_energy_j: FloatArray
    busy_s: FloatArray
    sends: Each = 1.0

    def __post_init__(self) -> None:
        """Make arrays of what a protocol of somebody's own may give as lists, or as numbers of another type."""
        fields = vars(self)
        for name, value in fields.items():
            fields[name] = np.asarray(value, dtype=np.int64 if name in ("outcome", "epochs") else np.float64)

    @property
    def trains(self) -> BoolArray:
        """Satellites that train, (S,)."""
        return np.asarray(self.outcome == Outcome.RETURNED.value)

    @property
    def transfers(self) -> BoolArray:
        """Satellites that fetch a model or return one, (S,); only they take band and interfere."""
        return uses_links(self.outcome)


@dataclass(frozen=True, eq=False)
class Aggregation:
    """How updates counted in a round.

    Attributes:
        intake: The updates that gateways took in, and their weights.
        staleness: How often models have changed since each satellite fetched the one it trained from, (S,).
    """

    intake: Intake
    staleness: IntArray


class RoundProtocol(Protocol):
    """Who trains when, from which model, and when updates count: the steps of a round in which systems differ.

    `OneContact` is the default, and the base class to start from: a protocol of your own overrides what it does
    differently. A protocol keeps no state; what has to last is in the `ModelStore` and in `Fetched`. One under which
    several devices train in each satellite's place may say how many, as `clients` (`EdgeServers`).
    """

    def contacts(self, snapshot: SceneSnapshot, model_bits: float) -> Contacts:
        """How satellites reach gateways at the start of a round."""

    def participate(self, opening: Opening) -> Participation:
        """Who trains, for how many epochs, and what it costs.

        Called more than once a round, since who takes part decides what the transfers of the others take (`settle`):
        whoever has no link, or one that is too slow, must not take part.
        """

    def start(self, models: Holdings, decision: Decision, trains: BoolArray) -> Tensor:
        """The parameters that satellites train from, (S, P): those they hold, or those that they fetch now.

        It is asked the same of control variates, which are fetched together with a model.
        """

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways aggregate the updates that have arrived."""

    def fetches(self, outcome: IntArray) -> BoolArray:
        """Satellites that leave a round with the model of their gateway, (S,), from their `Outcome`."""

    def hand_out(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, contacts: Contacts, fetches: BoolArray
    ) -> None:
        """Satellites that leave a round with another model, (S,), get it: that of their gateway, or of each other."""
