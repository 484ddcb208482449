"""The section of rounds in which satellites learn from each other."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from satfl_env import simulation
from satfl_env.links import FixedIsl, IslBudget
from satfl_env.orbits import GrazingHeight
from satfl_env.scenarios.constellation_section import ConstellationSection
from satfl_env.scenarios.section import Section, by_default
from satfl_env.settings import Positive, default_of
from satfl_env.simulation import GridLinks, Neighbours, Ring, RoundProtocol

# Why what gateways do does not go with it.
NO_GATEWAY = "no gateway takes part in it"
Stage = Annotated[Neighbours | Ring, Field(discriminator="kind")]


class Gossip(Section):
    """Satellites of a Walker constellation keep models of their own, and average them with each other.

    Links are those of `relay.topology: grid`, of the kind `isl`. `stages` come one after the other: `neighbours`
    average with their neighbours, over `all` links, inside a `plane` or `across` planes, and a `ring` gives all
    satellites of a plane the mean of their models. `round_s` is the time for training and the exchange.
    """

    isl: Annotated[FixedIsl | IslBudget, Field(discriminator="kind"), by_default(FixedIsl)] = FixedIsl()
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = default_of(simulation.Gossip, "stages")
    grazing_height_m: GrazingHeight = default_of(simulation.Gossip, "grazing_height_m")
    round_s: Positive = default_of(simulation.Gossip, "round_s")

    def protocol(self, constellation: ConstellationSection) -> RoundProtocol:
        """The protocol of these rounds.

        Raises:
            ValueError: If the constellation has no planes that satellites could have links in.
        """
        topology = constellation.topology("grid")
        assert isinstance(topology, GridLinks)
        return simulation.Gossip(topology, self.isl, self.stages, self.grazing_height_m, self.round_s)
