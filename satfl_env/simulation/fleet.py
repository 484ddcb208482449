"""In what the satellites of a constellation differ: their computers, batteries and transmitters.

Links, energy and computer are objects for all satellites and episodes. A fleet gives each episode copies of them in
which some numbers are arrays, one value per satellite. Nothing else knows whether satellites are equal.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from pydantic.dataclasses import dataclass

from satfl_env.counted import counted
from satfl_env.links import IdealLinks, Links, RadioLinks
from satfl_env.onboard import Battery, Computer, Energy, EnergyDraws
from satfl_env.settings import STRICT, Count, Each
from satfl_env.simulation.quantities import (
    DecibelQuantity,
    NonNegativeQuantity,
    PositiveQuantity,
    Quantity,
    Same,
    ShareQuantity,
)
from satfl_env.simulation.state import FloatArray

Part = TypeVar("Part", Links, Energy, Computer)


class Fleet(Protocol):
    """Values of which each satellite has its own, by the name that they have in links, energy or computer."""

    @property
    def highest(self) -> Mapping[str, float]:
        """Upper bound of each value, over all satellites and all seeds."""

    def draw(self, num_satellites: int, rng: np.random.Generator) -> Mapping[str, FloatArray]:
        """The values of an episode, each (S,)."""


class Equipment(NamedTuple):
    """What satellites are equipped with."""

    links: Links
    energy: Energy
    computer: Computer

    def having(self, values: Mapping[str, Each]) -> Equipment:
        """The same, with other numbers or arrays (S,) in place of those that have these names."""
        return Equipment(_having(self.links, values), _having(self.energy, values), _having(self.computer, values))


def _having(part: Part, values: Mapping[str, Each]) -> Part:
    own = {name: value for name, value in values.items() if hasattr(part, name)}
    if not own:
        return part
    changed = copy.copy(part)
    # Settings are frozen, and state numbers alone.
    vars(changed).update(own)
    return changed


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Kind:
    """Satellites of one kind: a number, a list, or a distribution for each value that is theirs.

    What a kind does not state is as in the sections `links`, `onboard` and `onboard.energy`, which explain the values.
    `count` is the number of satellites of the kind; null, for one kind, means all that are left.
    """

    name: str
    count: Count | None = None
    transmit_power_w: PositiveQuantity | None = None
    satellite_gain_dbi: DecibelQuantity | None = None
    cpu_max_hz: PositiveQuantity | None = None
    cycles_per_sample: PositiveQuantity | None = None
    kappa: PositiveQuantity | None = None
    capacity_j: PositiveQuantity | None = None
    initial_j: NonNegativeQuantity | None = None
    depth_of_discharge: ShareQuantity | None = None
    harvest_w: NonNegativeQuantity | None = None
    standing_w: NonNegativeQuantity | None = None
    mean_j: PositiveQuantity | None = None
    std_j: NonNegativeQuantity | None = None

    @property
    def stated(self) -> dict[str, Quantity]:
        """The values that the kind states, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Quantity)}


_SETTINGS = tuple(field.name for field in fields(Kind) if field.name not in ("name", "count"))


class Kinds:
    """A fleet of several kinds of satellites, numbered kind by kind.

    Args:
        kinds: The kinds; without any, all satellites are equal.
        sections: The settings that state what a kind leaves out.

    Raises:
        ValueError: If two kinds have one name, or one states what none of the sections has.
    """

    def __init__(self, kinds: Sequence[Kind], *sections: object) -> None:
        called = [kind.name for kind in kinds]
        if len(set(called)) != len(called):
            raise ValueError(f"kinds must have distinct names, got {called}")
        self._kinds = kinds
        self._names = tuple(dict.fromkeys(name for kind in kinds for name in kind.stated))
        self._common = _in_common(self._names, sections)
        for kind in kinds:
            for name in kind.stated.keys() - self._common.keys():
                known = ", ".join(_in_common(_SETTINGS, sections))
                raise ValueError(f"{kind.name} must state some of {known}, got {name} of {_sections_with(name)}")

    @property
    def highest(self) -> dict[str, float]:
        """The upper end of each value in the kind that has the highest."""
        return {name: max(self._of(kind, name).ends[1] for kind in self._kinds) for name in self._names}

    def draw(self, num_satellites: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        """The values of an episode, each (S,).

        Raises:
            ValueError: If the kinds are for another number of satellites.
        """
        sizes = _sizes(self._kinds, num_satellites)
        return {
            name: np.concatenate(
                [self._values(kind, name, size, rng) for kind, size in zip(self._kinds, sizes, strict=True)]
            )
            for name in self._names
        }

    def _of(self, kind: Kind, name: str) -> Quantity:
        return kind.stated.get(name, self._common[name])

    def _values(self, kind: Kind, name: str, size: int, rng: np.random.Generator) -> FloatArray:
        try:
            return self._of(kind, name).values(size, rng)
        except ValueError as error:
            raise ValueError(f"{kind.name}: {name} {error}") from error


def _in_common(names: Iterable[str], sections: Iterable[object]) -> dict[str, Quantity]:
    """What sections state for all satellites."""
    return {
        name: Same(value=getattr(section, name)) for section in sections for name in names if hasattr(section, name)
    }


def _sections_with(name: str) -> str:
    """The kinds of sections that have a value which others of their sort lack."""
    sections = (RadioLinks, IdealLinks, EnergyDraws, Battery)
    return f"kind {', '.join(repr(section.kind) for section in sections if name in _names(section))}"


def _names(section: type) -> list[str]:
    return [field.name for field in fields(section)]


def _sizes(kinds: Sequence[Kind], num_satellites: int) -> list[int]:
    """Satellites of each kind."""
    rest = num_satellites - sum(kind.count or 0 for kind in kinds)
    if kinds and min(rest, 1) != sum(kind.count is None for kind in kinds):
        got = ", ".join(f"{'the rest' if kind.count is None else kind.count} {kind.name}" for kind in kinds)
        raise ValueError(
            f"the kinds must make up {counted(num_satellites, 'satellite')}, at most one without a count; got {got}"
        )
    return [rest if kind.count is None else kind.count for kind in kinds]
