"""The links that satellites have with each other when a round begins, and the time that a model takes over each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from satfl_env.links import Isl
from satfl_env.orbits import SceneSnapshot
from satfl_env.simulation.protocols.relayed_contacts import hop_time_s, working_m
from satfl_env.simulation.protocols.topologies import GridLinks
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

Which = Literal["all", "plane", "across"]


@dataclass(frozen=True, eq=False)
class IslGraph:
    """The E links between S satellites that there are when a round begins.

    Attributes:
        num_satellites: Number of satellites, S.
        one: One end of each link, (E,).
        other: The other end, (E,).
        in_plane: Links inside an orbital plane, (E,); the others go across.
        model_s: Time that a model takes over each, (E,).
        delay_s: The part of it that light takes, (E,).
    """

    num_satellites: int
    one: IntArray
    other: IntArray
    in_plane: BoolArray
    model_s: FloatArray
    delay_s: FloatArray

    @property
    def ends(self) -> IntArray:
        """Both ends of all links, (2 E,)."""
        return np.concatenate([self.one, self.other])

    @property
    def degree(self) -> IntArray:
        """Number of neighbours, (S,)."""
        return np.bincount(self.ends, minlength=self.num_satellites)

    def having(self, kept: BoolArray) -> IslGraph:
        """Some of the links, (E,)."""
        links = {name: getattr(self, name)[kept] for name in ("one", "other", "in_plane", "model_s", "delay_s")}
        return replace(self, **links)

    def among(self, takes_part: BoolArray, cluster: IntArray) -> IslGraph:
        """The links between satellites of one cluster, (S,), that both take part, (S,)."""
        one, other = self.one, self.other
        return self.having(takes_part[one] & takes_part[other] & (cluster[one] == cluster[other]))

    def of_kind(self, which: Which) -> IslGraph:
        """All links, those inside planes, or those across planes."""
        return self if which == "all" else self.having(self.in_plane == (which == "plane"))

    def sum_over_links(self, values: FloatArray) -> FloatArray:
        """Sum over each satellite's links, (S,), of values of the links, (E,)."""
        return np.asarray(np.bincount(self.ends, weights=np.tile(values, 2), minlength=self.num_satellites), float)

    def most_over_links(self, values: FloatArray) -> FloatArray:
        """The largest value (E,) >= 0 of each satellite's links, (S,); 0 where it has none."""
        most = np.zeros(self.num_satellites)
        np.maximum.at(most, self.ends, np.tile(values, 2))
        return most


def isl_graph(
    snapshot: SceneSnapshot, topology: GridLinks, isl: Isl, model_bits: float, grazing_height_m: float
) -> IslGraph:
    """The links between satellites that work and see each other.

    Args:
        snapshot: The geometry.
        topology: Which satellites may have links with each other.
        isl: Rate of these links.
        model_bits: Size of a model.
        grazing_height_m: Height above the equatorial radius that lines of sight must clear.
    """
    position_m = working_m(snapshot)
    num_satellites = len(position_m)
    one, other = topology.edges(num_satellites)
    ends_m = position_m[one], position_m[other]
    model_s, delay_s = (
        hop_time_s(bits, *ends_m, isl=isl, grazing_height_m=grazing_height_m) for bits in (model_bits, 0.0)
    )
    plane = np.arange(num_satellites) // (num_satellites // topology.num_planes)
    graph = IslGraph(num_satellites, one, other, plane[one] == plane[other], model_s, delay_s)
    return graph.having(np.isfinite(model_s))
