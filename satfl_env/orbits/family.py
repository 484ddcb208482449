"""Scenes of a family of constellations, of which each episode draws one."""

from __future__ import annotations

from collections.abc import Sequence

from satfl_env.orbits.constellation import ConstellationScene
from satfl_env.orbits.gateways import Gateway
from satfl_env.orbits.propagation import Orbits
from satfl_env.orbits.space_gateways import SpaceGateway


class FamilyScene(ConstellationScene):
    """One constellation of a family. What bounds it bounds the whole family, and so is the same in every episode.

    Args:
        orbits: The satellites; time 0 of the scene is their epoch.
        gateways: At least one.
        family: A scene with orbits as low, as high and as fast as any of the family, over all its gateways.
    """

    def __init__(self, orbits: Orbits, gateways: Sequence[Gateway | SpaceGateway], family: ConstellationScene) -> None:
        super().__init__(orbits, gateways, horizon_s=family.horizon_s)
        self.min_distance_m, self.max_distance_m = family.min_distance_m, family.max_distance_m
        self._max_position_m, self._max_speed_mps = family.max_position_m, family.max_speed_mps

    @property
    def max_position_m(self) -> float:
        """Upper bound of the absolute value of every satellite coordinate."""
        return self._max_position_m

    @property
    def max_speed_mps(self) -> float:
        """Upper bound of every satellite's speed against the ground."""
        return self._max_speed_mps
