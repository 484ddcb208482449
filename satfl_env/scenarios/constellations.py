"""Constellation sections: one for each kind, which makes the scene. A new kind needs a section here and its scene."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from satfl_env.links import Site
from satfl_env.orbits import (
    REACH_S,
    ConstellationScene,
    Gateway,
    GeostationaryGateway,
    GrazingHeight,
    KeplerOrbits,
    OrbitingGateway,
    PlanarScene,
    Sgp4Orbits,
    load_elements,
    make_epoch,
    samples,
    site,
    times_after,
    uniform_phases,
    walker,
)
from satfl_env.orbits.earth import CLEAR_OF_AIR_M, EQUATORIAL_RADIUS_M, HILL_RADIUS_M, LOWEST_ALTITUDE_M
from satfl_env.paths import PathText
from satfl_env.scenarios.decay import RULES, Decay
from satfl_env.scenarios.errors import prefixed
from satfl_env.scenarios.plain import utc_text
from satfl_env.scenarios.section import Section
from satfl_env.settings import Count, Finite, NonNegative, Positive, Whole, default_of
from satfl_env.simulation import GridLinks, PlaneLinks, RoundSettings, ScenePart, Topology

if TYPE_CHECKING:
    from astropy.time import Time

# There is no orbit below this; kilometres given for metres are far below it.
Altitude = Annotated[Finite, Field(ge=LOWEST_ALTITUDE_M, le=HILL_RADIUS_M - EQUATORIAL_RADIUS_M)]
Inclination = Annotated[Finite, Field(ge=0, le=180)]
TopologyKind = Literal["plane", "grid"]
Point = tuple[Finite, Finite]
# A century: far beyond it, times have no date.
LONGEST_SPAN_S = 3.2e9


class ConstellationSection(Section, ABC):
    """Base class of constellation sections."""

    kind: str
    # The field that says how many satellites there are.
    size_field: ClassVar[str]

    @abstractmethod
    def scenes(self, rounds: RoundSettings) -> ScenePart:
        """What makes the scene of each episode of such rounds."""

    def check(self, rounds: RoundSettings) -> None:
        """Check that the satellites can fly an episode of such rounds.

        Raises:
            ValueError: If not; the message begins with a field of the section.
        """

    def topology(self, kind: TopologyKind) -> Topology:
        """Which satellites have links with each other.

        Raises:
            ValueError: If there are no planes.
        """
        raise ValueError(f"rounds.relay needs constellation.kind 'walker', got {self.kind!r}")


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
    speed_mps: Positive = 7600.0

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return sum(circle.satellites for circle in self.circles)

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateways_m)

    def scenes(self, rounds: RoundSettings) -> ScenePart:
        """What makes the scene; the phases of the satellites are drawn."""
        return self._scene

    def _scene(self, rng: np.random.Generator) -> PlanarScene:
        radius_m = np.repeat([c.radius_m for c in self.circles], [c.satellites for c in self.circles])
        return PlanarScene(
            circle_radius_m=radius_m,
            phase_rad=uniform_phases(len(radius_m), rng),
            gateway_m=self.gateways_m,
            centre_m=self.centre_m,
            speed_mps=self.speed_mps,
            altitude_m=self.altitude_m,
            coverage_radius_m=self.coverage_radius_m,
        )


class MeoGateway(Section):
    """A gateway on a circular orbit above all satellites, with secular J2.

    `altitude_m` counts from the equatorial radius. `raan_deg` is the right ascension of the ascending node and
    `phase_deg` the angle from it along the orbit, both at the constellation's `epoch`. A satellite is in sight where
    the line to it stays higher than `grazing_height_m`, at most 1,000 km.
    """

    kind: Literal["meo"] = "meo"
    name: Annotated[str, Field(min_length=1)]
    altitude_m: Altitude
    inclination_deg: Inclination
    raan_deg: Finite = default_of(walker, "raan_deg")
    phase_deg: Finite = 0.0
    grazing_height_m: GrazingHeight = CLEAR_OF_AIR_M

    def flown(self, epoch: Time) -> OrbitingGateway:
        """The gateway in its orbit."""
        inclination, node, phase = (np.radians([it]) for it in (self.inclination_deg, self.raan_deg, self.phase_deg))
        zero, axis_m = np.zeros(1), np.array([EQUATORIAL_RADIUS_M + self.altitude_m])
        orbit = KeplerOrbits(epoch, axis_m, zero, inclination, node, zero, phase)
        return OrbitingGateway(self.name, orbit, self.grazing_height_m)


def _site_or_place(value: Any) -> Any:
    """The place of a shipped site that is given by name only; whatever states no kind is on the ground."""
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or "kind" in given:
        return given
    given = {"kind": default_of(Gateway, "kind"), **given}
    if given.keys() & {"latitude_deg", "longitude_deg", "altitude_m"}:
        return given
    name = given.get("name")
    return {**asdict(site(name)), **given, "name": site(name).name} if isinstance(name, str) else given


AnyGateway = Annotated[
    Gateway | GeostationaryGateway | MeoGateway, Field(discriminator="kind"), BeforeValidator(_site_or_place)
]


class Orbiting(ConstellationSection):
    """Base class of constellations on the globe.

    `epoch` is an ISO 8601 date and time in UTC, with or without quotes, in the years 2000 to 2035. An episode starts at
    a random time within `start_within_s` after it, drawn from its seed; 0 starts all of them at the epoch.
    """

    gateways: tuple[AnyGateway, ...]
    start_within_s: NonNegative = 86_400.0

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateways)

    @property
    def sites(self) -> list[Site]:
        """Places of the gateways that are on the ground or above it."""
        ground = [it for it in self.gateways if isinstance(it, Gateway)]
        return [Site(it.latitude_deg, it.longitude_deg, it.altitude_m) for it in ground]

    @abstractmethod
    def orbits(self) -> KeplerOrbits | Sgp4Orbits:
        """The orbits from the epoch on."""

    def sample_orbits(self) -> KeplerOrbits | Sgp4Orbits:
        """Orbits as low and as high as all of them, from the epoch on: enough to check gateways."""
        return self.orbits()

    def check(self, rounds: RoundSettings) -> None:
        """Check that gateways are where satellites can see them, and that times stay in the range of dates."""
        with prefixed("gateways: "):
            self._scene_of(self.sample_orbits())
        # No round is shorter than that of satellites that are not busy.
        span_s = self.start_within_s + rounds.longest_s(0.0)
        if span_s > LONGEST_SPAN_S:
            raise ValueError(
                f"start_within_s and the rounds of an episode must take at most {LONGEST_SPAN_S:g} s, got {span_s:g} s"
            )

    def flown(self, rounds: RoundSettings) -> KeplerOrbits | Sgp4Orbits:
        """The orbits of the satellites that fly in episodes of such rounds."""
        return self.orbits()

    def scenes(self, rounds: RoundSettings) -> ScenePart:
        """What makes the scene; the time at which it starts is drawn."""
        return partial(self._started, self.flown(rounds))

    @property
    def _too_long(self) -> str:
        return f"start_within_s is too long, got {self.start_within_s:g}: "

    def _started(self, orbits: KeplerOrbits | Sgp4Orbits, rng: np.random.Generator) -> ConstellationScene:
        return self._scene_of(orbits.advanced(rng.uniform(0.0, self.start_within_s)))

    def _scene_of(self, orbits: KeplerOrbits | Sgp4Orbits) -> ConstellationScene:
        """The scene of some orbits, which may have a later epoch than the section's."""
        epoch = self.sample_orbits().epoch
        flown = (it.flown(epoch) if isinstance(it, MeoGateway) else it for it in self.gateways)
        return ConstellationScene(orbits, tuple(flown))

    @field_validator("epoch", mode="before", check_fields=False)
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # YAML turns text that looks like a date into one.
        return utc_text(value) if isinstance(value, date) else value

    @field_validator("epoch", check_fields=False)
    @classmethod
    def _is_a_date(cls, value: str | None) -> str | None:
        if value is not None:
            make_epoch(value)
        return value

    @field_validator("gateways")
    @classmethod
    def _distinct_names(cls, value: tuple[AnyGateway, ...]) -> tuple[AnyGateway, ...]:
        names = [gateway.name for gateway in value]
        if not names:
            raise ValueError("there must be at least one gateway, got none")
        if len(set(names)) != len(names):
            raise ValueError(f"gateways must have distinct names, got {names}")
        return value


class WalkerConstellation(Orbiting):
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
        with prefixed(self._too_long):
            make_epoch(times_after(make_epoch(self.epoch), np.asarray(self.start_within_s)))
        return self


class ElementsConstellation(Orbiting):
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
    epoch: str | None = None
    decay: Decay = "refuse"

    @property
    def path(self) -> Path:
        """The file of orbital elements."""
        return samples().get(self.elements, Path(self.elements))

    @property
    def num_satellites(self) -> int:
        """Number of satellites of the elements, S; `decay: leave-out` may fly fewer."""
        return self.orbits().num_satellites

    def orbits(self) -> Sgp4Orbits:
        """The orbits of the elements, which are read once."""
        return self._read

    @cached_property
    def _read(self) -> Sgp4Orbits:
        return load_elements(self.path, self.epoch)

    def check(self, rounds: RoundSettings) -> None:
        """Check that times stay in the range of dates and satellites stay up, as `decay` has it."""
        super().check(rounds)
        self.flown(rounds)

    def flown(self, rounds: RoundSettings) -> Sgp4Orbits:
        """The orbits of the satellites that stay up for long enough, as `decay` has it."""
        orbits = self.orbits()
        scene = self._scene_of(orbits)
        span_s = self.start_within_s + rounds.longest_s(scene.horizon_s) + scene.look_ahead_s
        # Who comes down after all episodes flies in them, but may be gone within a forecast.
        decay_s = orbits.decays_s(min(span_s + REACH_S, LONGEST_SPAN_S))
        during, after = decay_s <= span_s, (decay_s > span_s) & np.isfinite(decay_s)
        if after.any():
            orbits = orbits.ending(np.where(after, decay_s, np.inf))
        return RULES[self.decay](orbits, np.where(during, decay_s, np.inf), self.start_within_s)

    @model_validator(mode="after")
    def _readable(self) -> ElementsConstellation:
        try:
            orbits = self.orbits()
        except FileNotFoundError as error:
            raise ValueError(f"elements: {error}; shipped samples: {', '.join(samples())}") from error
        except (OSError, ValueError) as error:
            raise ValueError(f"elements: {error}") from error
        with prefixed(self._too_long):
            orbits.advanced(self.start_within_s)
        return self


Constellation = PlanarConstellation | WalkerConstellation | ElementsConstellation
