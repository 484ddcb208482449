"""The interface of gateways of one kind, as the search for contacts and the scene use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.gateways import Gateway
from satfl_env.orbits.ground_segment import ground_segment
from satfl_env.orbits.hermite import Motion
from satfl_env.orbits.propagation import Orbits, States
from satfl_env.orbits.sights import Sight
from satfl_env.orbits.space_gateways import SpaceGateway, SpaceSegment

if TYPE_CHECKING:
    from astropy.time import Time

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class Segment(Protocol):
    """G gateways that see by one rule, in ITRS; times count from the satellites' epoch."""

    @property
    def sine_min_elevation(self) -> FloatArray:
        """Lower bound of the sine of the elevation while in sight, (G,)."""
        ...

    @property
    def march_steps(self) -> int:
        """Steps that windows are followed at a time, so that most of them have ended then."""
        ...

    @property
    def sees_level(self) -> bool:
        """Whether `clear` is no more than a look at which side of the horizontal plane a satellite is on."""
        ...

    def distance_bounds_m(self, orbits: Orbits) -> tuple[float, float]:
        """Lower and upper bound of the slant ranges.

        Raises:
            ValueError: If the orbits are not on the side of the gateways, higher or lower, where they can be seen.
        """
        ...

    def states(self, time_s: FloatArray) -> States:
        """Positions and velocities at each time (T,), (T, G, 3) each."""
        ...

    def frames(self, position_m: FloatArray) -> FloatArray:
        """Local axes of the gateways at these positions (G, 3) in rows, the third along the antenna's boresight."""
        ...

    def clearances_m(self, satellite_m: FloatArray, gateway_m: FloatArray) -> FloatArray:
        """Positive where a gateway sees a satellite, smooth in time, (T, S, 3) and (T, G, 3) -> (T, S, G)."""
        ...

    def curvature_bound_mps2(self, orbits: Orbits) -> FloatArray:
        """Upper bound of the second derivative of the clearances in time, (G,)."""
        ...

    def sight(self, motion: Motion, gateways: States, interval: IntArray, gateway: IntArray) -> Sight:
        """Lines of sight of N pairs over one interval each.

        Args:
            motion: The satellites' motion, over N intervals.
            gateways: States of the gateways at the ends of all intervals, (T, G, 3) each.
            interval: Interval of each pair, (N,).
            gateway: Gateway of each pair, (N,).
        """
        ...

    def sine_elevation(self, satellite_m: FloatArray, gateway_m: FloatArray, gateway: IntArray) -> FloatArray:
        """Sine of the elevation at which the lower one of each pair sees the other, (N, 3) each -> (N,)."""
        ...

    def clear(self, satellite_m: FloatArray, gateway_m: FloatArray) -> BoolArray:
        """Whether nothing stands in between, whatever a gateway's minimum elevation, (S, 3), (G, 3) -> (S, G)."""
        ...

    def reach_rad(self, radius_m: float) -> FloatArray:
        """Angle at the Earth's centre between each gateway and the farthest satellites of this radius it sees, (G,)."""
        ...


class Part(NamedTuple):
    """Some of the gateways of a scene.

    Attributes:
        which: Their numbers in the scene, ascending, (K,).
        segment: The gateways.
    """

    which: IntArray
    segment: Segment


def segments(gateways: Sequence[Gateway | SpaceGateway], epoch: Time) -> tuple[Part, ...]:
    """Gateways by kind: those on the ground or near it, and those in orbit.

    Args:
        gateways: The gateways of a scene.
        epoch: The satellites' epoch.

    Raises:
        ValueError: If there is no gateway.
    """
    if not gateways:
        raise ValueError("a scene needs at least one gateway, got none")
    low = {number: gateway for number, gateway in enumerate(gateways) if isinstance(gateway, Gateway)}
    high = {number: gateway for number, gateway in enumerate(gateways) if not isinstance(gateway, Gateway)}
    parts = []
    if low:
        parts.append(Part(np.array([*low]), ground_segment([*low.values()])))
    if high:
        parts.append(Part(np.array([*high]), SpaceSegment([*high.values()], epoch)))
    return tuple(parts)
