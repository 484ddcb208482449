"""Which satellites have links with each other, and how long models travel over them, store and forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from pydantic.dataclasses import dataclass

from satfl_env.imports import import_tidily
from satfl_env.settings import STRICT, Count, Whole
from satfl_env.simulation.state import FloatArray, IntArray

HopTimes = Callable[[FloatArray, FloatArray], FloatArray]
"""Time that a model takes from one place to another, (..., 3) each -> (...); infinite where there is no link."""


class Ways(NamedTuple):
    """The fastest ways between some sinks and all satellites, (V, S) each.

    Attributes:
        carry_s: Time; infinite where there is no way.
        via: The satellite that each sends to next on its way to the sink: itself at the sink, and where there is none.
    """

    carry_s: FloatArray
    via: IntArray


class Topology(Protocol):
    """The links between satellites."""

    def ways(self, position_m: FloatArray, sinks: IntArray, hop_s: HopTimes) -> Ways:
        """The ways that take the shortest time between each sink and every satellite.

        Args:
            position_m: Where the satellites are, (S, 3).
            sinks: The satellites that models go to, (V,).
            hop_s: Time of a single hop, the same in both directions.
        """


def _per_plane(num_satellites: int, num_planes: int) -> int:
    if num_satellites % num_planes:
        raise ValueError(f"num_planes must divide the number of satellites, {num_satellites}, got {num_planes}")
    return num_satellites // num_planes


@dataclass(frozen=True, config=STRICT)
class PlaneLinks:
    """Every two satellites of an orbital plane that see each other have a link.

    Attributes:
        num_planes: Orbital planes, all of one size; satellites are numbered plane by plane.
    """

    num_planes: Count

    def ways(self, position_m: FloatArray, sinks: IntArray, hop_s: HopTimes) -> Ways:
        """Floyd and Warshall's shortest paths, all planes at once."""
        by_plane = position_m.reshape(self.num_planes, _per_plane(len(position_m), self.num_planes), 3)
        # Nobody has a link with itself, which would be infinitely fast.
        with np.errstate(divide="ignore"):
            time_s = hop_s(by_plane[:, :, None], by_plane[:, None])
        members = np.arange(by_plane.shape[1])
        time_s[:, members, members] = 0.0
        # Where to go first, from each to each.
        first = np.broadcast_to(np.where(np.isfinite(time_s), members, members[:, None]), time_s.shape)
        for via in members:
            through_s = time_s[:, :, via, None] + time_s[:, None, via]
            first = np.where(through_s < time_s, first[:, :, via, None], first)
            time_s = np.minimum(time_s, through_s)
        everyone = np.arange(len(position_m)).reshape(self.num_planes, -1)
        carry_s = np.full((len(sinks), *everyone.shape), np.inf)
        onward = np.broadcast_to(everyone, carry_s.shape).copy()
        (plane, own), rows = np.divmod(sinks, len(members)), np.arange(len(sinks))
        carry_s[rows, plane] = time_s[plane, own]
        onward[rows, plane] = everyone[plane, 0, None] + first[plane, :, own]
        size = len(sinks), len(position_m)
        return Ways(carry_s.reshape(size), onward.reshape(size))


@dataclass(frozen=True, config=STRICT)
class GridLinks:
    """Each satellite has a link with its two neighbours in its plane and with one in each plane beside it (+Grid).

    The neighbour in another plane is the one nearest in phase. D. Bhattacherjee, A. Singla, "Network topology design at
    27,000 km/hour", ACM CoNEXT 2019.

    Attributes:
        num_planes: Orbital planes P, all of one size; satellites are numbered plane by plane.
        phasing: F of the Walker constellation: a satellite is F 360/T degrees ahead of that of its number in the plane
            before.
        closed: Whether the last plane is beside the first, as in a Walker delta; in a Walker star these two meet head
            on and have no links.
    """

    num_planes: Count
    phasing: Whole
    closed: bool = True

    def ways(self, position_m: FloatArray, sinks: IntArray, hop_s: HopTimes) -> Ways:
        """Dijkstra's shortest paths from each sink."""
        one, other = self.edges(len(position_m))
        time_s = hop_s(position_m[one], position_m[other])
        linked = np.isfinite(time_s)
        shape = (len(position_m), len(position_m))
        graph = import_tidily("scipy.sparse").csr_array((time_s[linked], (one[linked], other[linked])), shape=shape)
        shortest = import_tidily("scipy.sparse.csgraph").dijkstra
        carry_s, before = shortest(graph, directed=False, indices=sinks, return_predecessors=True)
        # What comes before a satellite on the way from the sink is what comes after it on the way there.
        return Ways(np.asarray(carry_s), np.where(before < 0, np.arange(len(position_m)), before))

    def edges(self, num_satellites: int) -> tuple[IntArray, IntArray]:
        """The two ends of every link, (E,) each."""
        per_plane = _per_plane(num_satellites, self.num_planes)
        plane, slot = np.divmod(np.arange(num_satellites), per_plane)
        ahead = plane * per_plane + (slot + 1) % per_plane
        # Of the next plane, F/P slots ahead; beyond the last plane comes the first again, F slots farther.
        last = plane == self.num_planes - 1
        shift = np.where(last, self.phasing, 0) - round(self.phasing / self.num_planes)
        beside = (plane + 1) % self.num_planes * per_plane + (slot + shift) % per_plane
        crosses = ~last if not self.closed or self.num_planes == 2 else np.full_like(last, self.num_planes > 1)
        own = np.arange(num_satellites)
        pairs = np.concatenate([np.stack([own, ahead]), np.stack([own, beside])[:, crosses]], axis=1)
        # A plane of two has one link, and one of one has none.
        one, other = np.unique(np.sort(pairs, axis=0), axis=1)
        return one[one < other], other[one < other]
