"""What every kind of constellation can do, and those over gateways on the globe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator

from satfl_env.links import Site
from satfl_env.orbits import (
    ConstellationScene,
    Gateway,
    GeostationaryGateway,
    GrazingHeight,
    KeplerOrbits,
    OrbitingGateway,
    Sgp4Orbits,
    make_epoch,
    site,
    times_after,
    walker,
)
from satfl_env.orbits.earth import CLEAR_OF_AIR_M, EQUATORIAL_RADIUS_M, HILL_RADIUS_M, LOWEST_ALTITUDE_M
from satfl_env.scenarios.errors import prefixed
from satfl_env.scenarios.plain import utc_text
from satfl_env.scenarios.section import Section
from satfl_env.settings import Finite, NonNegative, default_of
from satfl_env.simulation import RoundSettings, ScenePart, Topology

if TYPE_CHECKING:
    from astropy.time import Time

# There is no orbit below this; kilometres given for metres are far below it.
Altitude = Annotated[Finite, Field(ge=LOWEST_ALTITUDE_M, le=HILL_RADIUS_M - EQUATORIAL_RADIUS_M)]
Inclination = Annotated[Finite, Field(ge=0, le=180)]
TopologyKind = Literal["plane", "grid"]
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

    @property
    @abstractmethod
    def horizon_s(self) -> float:
        """Longest window of any scene: the longest orbital period."""

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
        raise ValueError(f"rounds.relay and rounds.gossip need constellation.kind 'walker', got {self.kind!r}")


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
    def sample_orbits(self) -> KeplerOrbits | Sgp4Orbits:
        """Orbits as low and as high as all of them, from the epoch on: enough to check gateways."""

    @property
    def horizon_s(self) -> float:
        """Longest window of any scene: the longest orbital period."""
        return self._scene_of(self.sample_orbits()).horizon_s

    def check(self, rounds: RoundSettings) -> None:
        """Check that gateways are where satellites can see them, and that times stay in the range of dates."""
        with prefixed("gateways: "):
            self._scene_of(self.sample_orbits())
        # No round is shorter than that of satellites that are not busy.
        span_s = self.start_within_s + rounds.longest_s(0.0)
        if span_s > LONGEST_SPAN_S:
            raise ValueError(
                "start_within_s and the rounds of an episode (rounds.episode times rounds.cadence_s, or else "
                f"rounds.minimum_s or rounds.gossip.round_s) must take at most {LONGEST_SPAN_S:g} s, got {span_s:g} s"
            )

    @property
    def _too_long(self) -> str:
        return f"start_within_s is too long, got {self.start_within_s:g}: "

    def _check_latest_start(self, epoch: str) -> None:
        """Raise `ValueError` if an episode may start where times have no date."""
        with prefixed(self._too_long):
            make_epoch(times_after(make_epoch(epoch), np.asarray(self.start_within_s)))

    def _scene_of(self, orbits: KeplerOrbits | Sgp4Orbits) -> ConstellationScene:
        """The scene of some orbits, which may have a later epoch than the section's, over all gateways."""
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


class SameOrbits(Orbiting):
    """Base class of constellations that fly in all episodes."""

    @abstractmethod
    def orbits(self) -> KeplerOrbits | Sgp4Orbits:
        """The orbits from the epoch on."""

    def sample_orbits(self) -> KeplerOrbits | Sgp4Orbits:
        """All of them."""
        return self.orbits()

    def flown(self, rounds: RoundSettings) -> KeplerOrbits | Sgp4Orbits:
        """The orbits of the satellites that fly in episodes of such rounds."""
        return self.orbits()

    def scenes(self, rounds: RoundSettings) -> ScenePart:
        """What makes the scene; the time at which it starts is drawn."""
        return partial(self._started, self.flown(rounds))

    def _started(self, orbits: KeplerOrbits | Sgp4Orbits, rng: np.random.Generator) -> ConstellationScene:
        return self._scene_of(orbits.advanced(rng.uniform(0.0, self.start_within_s)))
