"""Constellation sections: one for each kind, which makes the scene. A new kind needs a section here and its scene."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from satfl_env.links.channel import SPEED_OF_LIGHT_MPS
from satfl_env.orbits import KeplerOrbits, PlanarScene, uniform_phases, walker
from satfl_env.paths import PathText
from satfl_env.scenarios.catalogue_family import CatalogueFamily
from satfl_env.scenarios.constellation_section import (
    Altitude,
    ConstellationSection,
    Inclination,
    SameOrbits,
    TopologyKind,
)
from satfl_env.scenarios.published_section import Published, elements_path
from satfl_env.scenarios.section import Section
from satfl_env.scenarios.walker_family import WalkerFamily
from satfl_env.settings import Count, Finite, Positive, Whole, default_of
from satfl_env.simulation import GridLinks, PlaneLinks, RoundSettings, ScenePart, Topology

Point = tuple[Finite, Finite]
FloatArray = NDArray[np.float64]


class Circle(Section):
    """Satellites that share one circle of the planar scene."""

    radius_m: Positive
    satellites: Count


class PlanarConstellation(ConstellationSection):
    """Satellites on circles over the coverage discs of gateways (SemSpaceFL, section V-A).

    Points are [x, y] on the plane of the gateways. `speed_mps` is the satellites' speed along their circles in m/s.
    `altitude_m` is at least 100 km.
    """

    kind: Literal["planar"] = "planar"
    size_field: ClassVar[str] = "circles"
    circles: Annotated[tuple[Circle, ...], Field(min_length=1)]
    centre_m: Point
    gateways_m: Annotated[tuple[Point, ...], Field(min_length=1)]
    coverage_radius_m: Positive
    altitude_m: Altitude = 500e3
    speed_mps: Annotated[Positive, Field(le=SPEED_OF_LIGHT_MPS)] = 7600.0

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return sum(circle.satellites for circle in self.circles)

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateways_m)

    @property
    def horizon_s(self) -> float:
        """Longest window of any scene: the period on the largest circle."""
        largest_m = max(circle.radius_m for circle in self.circles)
        return self._scene_of(np.array([largest_m]), np.zeros(1)).horizon_s

    def scenes(self, rounds: RoundSettings) -> ScenePart:
        """What makes the scene; the phases of the satellites are drawn."""
        return self._scene

    def _scene(self, rng: np.random.Generator) -> PlanarScene:
        radius_m = np.repeat([c.radius_m for c in self.circles], [c.satellites for c in self.circles])
        return self._scene_of(radius_m, uniform_phases(len(radius_m), rng))

    def _scene_of(self, radius_m: FloatArray, phase_rad: FloatArray) -> PlanarScene:
        return PlanarScene(
            circle_radius_m=radius_m,
            phase_rad=phase_rad,
            gateway_m=self.gateways_m,
            centre_m=self.centre_m,
            speed_mps=self.speed_mps,
            altitude_m=self.altitude_m,
            coverage_radius_m=self.coverage_radius_m,
        )


class WalkerConstellation(SameOrbits):
    """A Walker constellation, delta (nodes over 360 degrees) or star (over 180), two-body with secular J2 if `j2`.

    `altitude_m` is at least 100 km, above the equatorial radius. `phasing` lies in 0..planes - 1, and `planes` divides
    `satellites`.
    """

    kind: Literal["walker"] = "walker"
    size_field: ClassVar[str] = "satellites"
    pattern: Literal["delta", "star"] = default_of(walker, "pattern")
    satellites: Count
    planes: Count
    phasing: Whole = 0
    altitude_m: Altitude
    inclination_deg: Inclination
    epoch: str
    j2: bool = default_of(walker, "j2")

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return self.satellites

    def orbits(self) -> KeplerOrbits:
        """Circular orbits in evenly spaced planes."""
        return self._walker(self.satellites, self.planes, self.phasing)

    def sample_orbits(self) -> KeplerOrbits:
        """One of them: all have one altitude, and any number of satellites may be asked for."""
        return self._walker(1, 1, 0)

    def _walker(self, satellites: int, planes: int, phasing: int) -> KeplerOrbits:
        return walker(
            satellites,
            planes,
            phasing,
            altitude_m=self.altitude_m,
            inclination_deg=self.inclination_deg,
            epoch=self.epoch,
            pattern=self.pattern,
            j2=self.j2,
        )

    def topology(self, kind: TopologyKind) -> Topology:
        """Links inside each plane, or the grid of neighbours."""
        if kind == "plane":
            return PlaneLinks(self.planes)
        return GridLinks(self.planes, self.phasing, closed=self.pattern == "delta")

    @model_validator(mode="after")
    def _even_planes(self) -> WalkerConstellation:
        if self.satellites % self.planes:
            raise ValueError(f"planes must divide satellites = {self.satellites}, got {self.planes}")
        if self.phasing >= self.planes:
            raise ValueError(f"phasing must lie in 0..{self.planes - 1}, got {self.phasing}")
        return self

    @model_validator(mode="after")
    def _starts_in_range(self) -> WalkerConstellation:
        self._check_latest_start(self.epoch)
        return self


class ElementsConstellation(Published):
    """Published orbital elements, propagated by SGP4; `epoch: null` means the newest epoch of the elements.

    `elements` is a shipped sample's name (`sentinel-like`, `polar-like`) or a file, TLE or OMM; see `load_elements`. In
    a scenario's file its path is relative to that file's folder.

    `decay` says what is done about a satellite that comes down (below 100 km, or where SGP4 has no state) before the
    longest possible episode ends: `refuse` the scenario, `leave-out` the satellite, or `end-episode`, which truncates
    an episode once it has come down.
    """

    kind: Literal["tle"] = "tle"
    size_field: ClassVar[str] = "elements"
    elements: PathText

    @property
    def path(self) -> Path:
        """The file of orbital elements."""
        return elements_path(self.elements)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The same."""
        return (self.path,)

    @property
    def num_satellites(self) -> int:
        """Number of satellites of the elements, S; `decay: leave-out` may fly fewer."""
        return self.orbits().num_satellites


Constellation = PlanarConstellation | WalkerConstellation | WalkerFamily | ElementsConstellation | CatalogueFamily
