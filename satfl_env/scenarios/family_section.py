"""What families of constellations have in common: each episode draws one of them, of fixed size."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator

from satfl_env.orbits import ConstellationScene, FamilyScene, KeplerOrbits, Sgp4Orbits
from satfl_env.scenarios.constellation_section import Orbiting
from satfl_env.settings import Count


class Family(Orbiting):
    """Base class of families of constellations.

    Each episode draws the number of planes among `planes`, each of which divides `satellites`, and `gateways_drawn` of
    `gateways`.
    """

    satellites: Count
    planes: tuple[Count, ...]
    gateways_drawn: Count

    @property
    def num_satellites(self) -> int:
        """Number of satellites in an episode, S."""
        return self.satellites

    @property
    def num_gateways(self) -> int:
        """Number of gateways in an episode, G."""
        return self.gateways_drawn

    def _drawn_scene(
        self, orbits: KeplerOrbits | Sgp4Orbits, family: ConstellationScene, rng: np.random.Generator
    ) -> FamilyScene:
        """The scene of drawn orbits; gateways and start are drawn."""
        chosen = rng.permutation(len(family.gateways))[: self.gateways_drawn]
        started = orbits.advanced(rng.uniform(0.0, self.start_within_s))
        return FamilyScene(started, [family.gateways[index] for index in chosen], family)

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        for planes in self.planes:
            if self.satellites % planes:
                raise ValueError(f"planes must divide satellites = {self.satellites}, got {planes}")
        if self.gateways_drawn > len(self.gateways):
            raise ValueError(
                f"gateways_drawn must be at most {len(self.gateways)}, as many as gateways, got {self.gateways_drawn}"
            )
        return self
