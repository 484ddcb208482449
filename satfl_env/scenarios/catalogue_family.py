"""The constellation of kind `catalogue-family`: other satellites of published elements in every episode."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from satfl_env.counted import counted
from satfl_env.orbits import ConstellationScene, FamilyScene, Sgp4Orbits, plane_numbers
from satfl_env.paths import PathText
from satfl_env.scenarios.family_section import Family
from satfl_env.scenarios.published_section import Published, elements_path
from satfl_env.settings import Count
from satfl_env.simulation import RoundSettings, ScenePart

Rows = NDArray[np.intp]


class CatalogueFamily(Published, Family):
    """Satellites of published orbital elements over gateways, of which each episode draws some.

    `elements` are shipped samples' names or files as for the kind `tle`, read as if they were one. Of their satellites
    take part those whose name fits one of the patterns `names` (`*`, `?` and `[...]` as in a shell); one without a name
    is called `NORAD` and its number. So families that share no file or no name have no satellite in common.

    Drawn uniformly, from the seed's stream `orbits`: the number of planes among `planes`, each of which divides
    `satellites`; these planes, among those that have enough satellites, and as many satellites of each; or, with no
    `planes`, any of the satellites; as many gateways as `gateways_drawn` says, among `gateways`; and when the episode
    starts. A plane is what has one inclination and node, see `plane_numbers`. Satellites are in the order of the files.
    """

    kind: Literal["catalogue-family"] = "catalogue-family"
    size_field: ClassVar[str] = "satellites"
    elements: Annotated[tuple[PathText, ...], Field(min_length=1)]
    names: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    planes: tuple[Count, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of orbital elements."""
        return tuple(map(elements_path, self.elements))

    def orbits(self) -> Sgp4Orbits:
        """The orbits of all that may be drawn."""
        return self._named

    @cached_property
    def _named(self) -> Sgp4Orbits:
        fits = [any(fnmatchcase(name, pattern) for pattern in self.names) for name in self._read.names]
        return self._read.chosen(np.array(fits))

    def check(self, rounds: RoundSettings) -> None:
        """Check times and decays, and that there are enough satellites to draw from."""
        super().check(rounds)
        groups = self._groups(self.flown(rounds))
        for number in self._numbers:
            each = self.satellites // number
            large = sum(len(rows) >= each for rows in groups)
            if large >= number:
                continue
            if not self.planes:
                raise ValueError(f"satellites must be at most {len(groups[0])}, those to draw from, got {each}")
            raise ValueError(
                f"planes must be at most {large}, those of {len(groups)} with "
                f"{counted(each, 'satellite')} or more, got {number}"
            )

    def scenes(self, rounds: RoundSettings) -> ScenePart:
        """What makes the scene; all of it is drawn."""
        orbits = self.flown(rounds)
        return partial(self._drawn, orbits, self._groups(orbits), self._scene_of(orbits))

    def _drawn(
        self, orbits: Sgp4Orbits, groups: list[Rows], family: ConstellationScene, rng: np.random.Generator
    ) -> FamilyScene:
        number = int(rng.choice(self._numbers))
        each = self.satellites // number
        large = [rows for rows in groups if len(rows) >= each]
        chosen = np.zeros(orbits.num_satellites, dtype=np.bool_)
        for index in rng.permutation(len(large))[:number]:
            chosen[rng.permutation(large[index])[:each]] = True
        return self._drawn_scene(orbits.chosen(chosen), family, rng)

    @property
    def _numbers(self) -> tuple[int, ...]:
        """Of how many groups satellites may be drawn."""
        return self.planes or (1,)

    def _groups(self, orbits: Sgp4Orbits) -> list[Rows]:
        """Rows of the satellites that are drawn together: those of each plane, or all."""
        if not self.planes:
            return [np.arange(orbits.num_satellites)]
        numbers = plane_numbers(orbits)
        return [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        known = self._read.names
        for pattern in self.names:
            if not any(fnmatchcase(name, pattern) for name in known):
                raise ValueError(
                    f"names: none of {len(known)} satellites has a name like {pattern!r}; the first is {known[0]!r}"
                )
        return self
