"""The constellation of kind `walker-family`: another one in every episode."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from satfl_env.orbits import ConstellationScene, FamilyScene, KeplerOrbits, walker
from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.scenarios.constellation_section import Altitude, Inclination
from satfl_env.scenarios.family_section import Family
from satfl_env.settings import Count, default_of
from satfl_env.simulation import RoundSettings, ScenePart


class WalkerFamily(Family):
    """Walker constellations over gateways, of which each episode draws one; the rest is as for the kind `walker`.

    Drawn uniformly, from the seed's stream `orbits`: the number of planes among `planes`, each of which divides
    `satellites`; the phasing; altitude and inclination, each given as [lowest, highest]; the node of the first plane;
    as many gateways as `gateways_drawn` says, among `gateways`; and when the episode starts. Numbers of satellites and
    gateways stay the same, and so do all spaces: the bounds of the observation hold for the whole family.
    """

    kind: Literal["walker-family"] = "walker-family"
    size_field: ClassVar[str] = "satellites"
    pattern: Literal["delta", "star"] = default_of(walker, "pattern")
    planes: Annotated[tuple[Count, ...], Field(min_length=1)]
    altitude_m: tuple[Altitude, Altitude]
    inclination_deg: tuple[Inclination, Inclination]
    epoch: str
    j2: bool = default_of(walker, "j2")

    def sample_orbits(self) -> KeplerOrbits:
        """The lowest and the highest orbit, over the equator, where the Earth's oblateness adds most to the speed."""
        axis_m, zero = EQUATORIAL_RADIUS_M + np.array(self.altitude_m), np.zeros(2)
        return KeplerOrbits(self.epoch, axis_m, zero, zero, zero, zero, zero, self.j2)

    def scenes(self, rounds: RoundSettings) -> ScenePart:
        """What makes the scene; all of it is drawn."""
        return partial(self._drawn, self._scene_of(self.sample_orbits()))

    def _drawn(self, family: ConstellationScene, rng: np.random.Generator) -> FamilyScene:
        planes = int(rng.choice(self.planes))
        orbits = walker(
            self.satellites,
            planes,
            int(rng.integers(planes)),
            altitude_m=rng.uniform(*self.altitude_m),
            inclination_deg=rng.uniform(*self.inclination_deg),
            epoch=family.orbits.epoch,
            pattern=self.pattern,
            raan_deg=rng.uniform(0.0, 360.0),
            j2=self.j2,
        )
        return self._drawn_scene(orbits, family, rng)

    @field_validator("altitude_m", "inclination_deg")
    @classmethod
    def _in_order(cls, value: tuple[float, float]) -> tuple[float, float]:
        low, high = value
        if low > high:
            raise ValueError(f"must be [lowest, highest] with lowest <= highest, got [{low:g}, {high:g}]")
        return value

    @model_validator(mode="after")
    def _starts_in_range(self) -> WalkerFamily:
        self._check_latest_start(self.epoch)
        return self
