"""The section of rounds, and how satellites relay models in them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from satfl_env import links
from satfl_env.orbits import GrazingHeight
from satfl_env.scenarios.constellation_section import ConstellationSection, TopologyKind
from satfl_env.scenarios.errors import refuse_together
from satfl_env.scenarios.gossip import NO_GATEWAY, Gossip
from satfl_env.scenarios.section import Section, by_default
from satfl_env.settings import STRICT, Count, Positive, default_of
from satfl_env.simulation import (
    AsyncFLEO,
    ClientHz,
    EdgeServers,
    FedAsync,
    FedGSM,
    FedSat,
    LateUpdates,
    OnboardAggregation,
    OneContact,
    Relays,
    RoundProtocol,
    RoundSettings,
)

# Why what satellites train with does not go with it.
DEVICES_TRAIN = "devices train, at client_hz and with energy of their own"


class Clients(Section):
    """Devices on the ground train, `clients` of each satellite with a share of its samples; satellites average.

    Each device has a CPU of `client_hz`, at most 1e12, and a link of `client_rate_bps` to its satellite.
    """

    clients: Count = default_of(EdgeServers, "clients")
    client_hz: ClientHz = default_of(EdgeServers, "client_hz")
    client_rate_bps: Positive = default_of(EdgeServers, "client_rate_bps")


class Relay(Section):
    """Satellites of a Walker constellation relay models through the one whose contact leaves the most time (FedLEO).

    `topology: plane` links every two satellites of a plane that see each other, `grid` each one with its two neighbours
    in its plane and with one in each plane beside it. A link exists where the line of sight stays higher than
    `grazing_height_m`, at most 1,000 km.

    `isl` is what the links are: of one rate (`fixed`) or of a link budget (`budget`), and the power of sending on them.

    `combine_on_board` combines the updates of a cluster that reach a gateway through the same satellite in that one, so
    that one model goes down instead of many. With `clients` they are those of devices on the ground,
    which are combined so anyway; see `Clients`.
    """

    topology: TopologyKind = "plane"
    isl: Annotated[links.FixedIsl | links.IslBudget, Field(discriminator="kind"), by_default(links.FixedIsl)] = (
        links.FixedIsl()
    )
    grazing_height_m: GrazingHeight = default_of(Relays, "grazing_height_m")
    combine_on_board: bool = False
    clients: Clients | None = None

    @model_validator(mode="after")
    def _clients_are_combined_anyway(self) -> Relay:
        if self.clients is not None:
            refuse_together({"combine_on_board": self.combine_on_board}, "clients", "their models are combined anyway")
        return self

    def protocol(self, constellation: ConstellationSection, protocol: RoundProtocol) -> RoundProtocol:
        """The protocol of rounds in which models are relayed, around another one.

        Raises:
            ValueError: If the constellation has no planes that satellites could have links in.
        """
        linked = constellation.topology(self.topology), self.isl
        if self.clients is not None:
            return EdgeServers(*linked, self.grazing_height_m, **vars(self.clients))
        if self.combine_on_board:
            return OnboardAggregation(*linked, self.grazing_height_m)
        return Relays(*linked, protocol, self.grazing_height_m)


Late = Annotated[
    LateUpdates | FedSat | FedAsync | AsyncFLEO | FedGSM, Field(discriminator="kind"), by_default(LateUpdates)
]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Rounds(RoundSettings):
    """Communication rounds. `late: null` means that updates come back in the round in which they are trained.

    With `gossip` satellites learn from each other, without gateways.
    """

    late: Late | None = None
    relay: Relay | None = None
    gossip: Gossip | None = None

    def protocol(self, constellation: ConstellationSection) -> RoundProtocol:
        """The protocol of the rounds.

        Raises:
            ValueError: If the constellation has no planes that satellites could have links in.
        """
        if self.gossip is not None:
            return self.gossip.protocol(constellation)
        protocol = OneContact() if self.late is None else self.late
        return protocol if self.relay is None else self.relay.protocol(constellation, protocol)

    def longest_s(self, horizon_s: float) -> float:
        """Duration of the longest possible episode in s; satellites that gossip are busy for `gossip.round_s` at most.

        Args:
            horizon_s: Longest contact in s, which nothing else keeps a satellite busy for longer than.
        """
        return super().longest_s(horizon_s if self.gossip is None else max(horizon_s, self.gossip.round_s))

    @property
    def clients(self) -> int:
        """Devices of each satellite that train in its place; 1 where it trains itself."""
        return 1 if self.relay is None or self.relay.clients is None else self.relay.clients.clients

    @model_validator(mode="after")
    def _one_kind_of_rounds(self) -> Rounds:
        if self.gossip is not None:
            to_gateways = {"late": self.late is not None, "relay": self.relay is not None}
            refuse_together(to_gateways, "gossip", NO_GATEWAY)
        return self

    @model_validator(mode="after")
    def _one_way_to_aggregate(self) -> Rounds:
        if self.late is None or self.relay is None:
            return self
        on_board = {
            "relay.combine_on_board": self.relay.combine_on_board,
            "relay.clients": self.relay.clients is not None,
        }
        refuse_together(on_board, "late", "gateways collect late updates themselves")
        return self
