"""What a scenario, or parts in its place, switch on, and what of it does not go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from satfl_env.federated import LinkCompressor
from satfl_env.onboard import OnboardComputer
from satfl_env.scenarios.errors import ScenarioError, refuse_together
from satfl_env.scenarios.gossip import NO_GATEWAY
from satfl_env.scenarios.rounds import DEVICES_TRAIN, Rounds
from satfl_env.settings import default_of
from satfl_env.simulation import (
    EdgeServers,
    FedAsync,
    FedSat,
    GatewayAccess,
    Gossip,
    Kind,
    OnboardAggregation,
    Relays,
    Scaffold,
    Structures,
)

# Sections in whose place parts come that may be of the same classes.
_REPLACED = {"access", "compression", "faults", "local", "server"}
# Protocols that combine models as a whole.
OF_WHOLE_MODELS = FedAsync | FedSat | OnboardAggregation


@dataclass(frozen=True, eq=False)
class Chosen:
    """Sections that may not go together; parts of any class may stand in the place of some."""

    links: Any
    access: Any
    onboard: OnboardComputer
    fleet: tuple[Kind, ...]
    rounds: Rounds
    compression: Any
    local: Any
    structures: Structures | None
    server: Any
    faults: Any

    @property
    def of_gateways(self) -> Mapping[str, Any]:
        """What gateways would do, and whether it is switched on."""
        return {
            "rounds.aggregate": self.rounds.decides,
            "rounds.broadcast": self.rounds.broadcast > 1,
            "access.beams": getattr(self.access, "beams", None),
            **self._divided_band,
            "links.positions_at 'upload'": self.links.positions_at == "upload",
            **self._of_whole_models,
            "compression.download": self.compression.download,
            "structures": self.structures,
            "faults.gateways": getattr(self.faults, "gateways", None),
        }

    @property
    def _of_whole_models(self) -> Mapping[str, bool]:
        """What gateways would do with models of which all have the same numbers, and whether it is switched on."""
        return {
            "server": self.server is not None,
            "local.kind 'scaffold'": isinstance(self.local, Scaffold),
            "compression.upload.kind 'progressive'": isinstance(self.compression.upload, LinkCompressor),
        }

    @property
    def of_computers(self) -> Mapping[str, bool]:
        """What training on board takes, and whether it is stated."""
        names = ("cpu_max_hz", "kappa")
        common = {f"onboard.{name}": getattr(self.onboard, name) != default_of(OnboardComputer, name) for name in names}
        return common | {f"{name} in fleet": any(name in kind.stated for kind in self.fleet) for name in names}

    @property
    def _divided_band(self) -> Mapping[str, bool]:
        """How gateways divide their band among satellites, and whether they do."""
        sharing = getattr(self.access, "sharing", default_of(GatewayAccess, "sharing"))
        return {
            f"access.sharing {sharing!r}": sharing != default_of(GatewayAccess, "sharing"),
            "access.subcarriers": getattr(self.access, "subcarriers", None) is not None,
        }

    def check_parts(self, parts: Mapping[str, Any]) -> None:
        """Check that parts go with what is switched on, as with settings.

        Raises:
            ScenarioError: If one does not.
        """
        chosen = replace(self, **{name: parts[name] for name in _REPLACED & parts.keys()})
        chosen.refuse_division(parts.get("links", self.links))
        protocol, combine = parts.get("protocol"), {"parts['combine']": "combine" in parts}
        name, gossip = (
            ("rounds.gossip", self.rounds.gossip is not None)
            if protocol is None
            else ("parts['protocol']", isinstance(protocol, Gossip))
        )
        if gossip:
            refuse_together({**combine, **chosen.of_gateways}, name, NO_GATEWAY, ScenarioError)
        if isinstance(protocol, EdgeServers):
            refuse_together(self.of_computers, name, DEVICES_TRAIN, ScenarioError)
        inner = protocol.protocol if isinstance(protocol, Relays) else protocol
        chosen.refuse_with_structures(combine | {name: isinstance(inner, OF_WHOLE_MODELS)})

    def refuse_division(self, links: Any) -> None:
        """Raise `ScenarioError` if the band is divided and these links have no use for that."""
        if undivided := getattr(links, "undivided", None):
            refuse_together(self._divided_band, f"links.kind {links.kind!r}", undivided, ScenarioError)

    def refuse_with_structures(self, given: Mapping[str, bool]) -> None:
        """Raise `ScenarioError` if satellites train parts of a model beside what takes whole ones, `given` included."""
        if self.structures is not None:
            not_whole = "satellites train parts of a model"
            refuse_together({**self._of_whole_models, **given}, "structures", not_whole, ScenarioError)
