"""Lines of sight from gateways to moving satellites, as the search for contacts follows them.

Two rules say when a gateway sees a satellite. One on or near the ground sees what stands high enough above its
horizontal plane: a cone. One in orbit sees what the Earth does not hide: the line of sight clears a sphere.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.hermite import Motion

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class Sight(Protocol):
    """The lines of sight of N pairs over one interval each; `x`, (N,) or a number, is the fraction of the interval."""

    def take(self, rows: IntArray) -> Self:
        """Some of the pairs."""
        ...

    def clearance_m(self, x: FloatArray | float) -> FloatArray:
        """Positive where the gateway sees the satellite, (N,)."""
        ...

    def clearance_rate(self, x: FloatArray | float) -> FloatArray:
        """Its rate in m/s, (N,)."""
        ...

    def sine_elevation(self, x: FloatArray | float) -> FloatArray:
        """Sine of the elevation at which the lower of the two sees the other, (N,)."""
        ...

    def elevation_rate(self, x: FloatArray | float) -> FloatArray:
        """Its rate times the cube of the distance, (N,): only its sign counts."""
        ...

    def in_sight(self, x: FloatArray | float) -> BoolArray:
        """Whether the gateway sees the satellite, (N,)."""
        ...


class ConeSight(NamedTuple):
    """From gateways at rest that see what stands higher than a minimum elevation.

    Attributes:
        motion: The satellites' motion in ITRS, over N intervals.
        gateway_position_m: (N, 3).
        up: Vertical of each gateway, (N, 3).
        sine_min_elevation: (N,).
    """

    motion: Motion
    gateway_position_m: FloatArray
    up: FloatArray
    sine_min_elevation: FloatArray

    def take(self, rows: IntArray) -> ConeSight:
        """Some of the pairs."""
        return ConeSight(self.motion.take(rows), *(field[rows] for field in self[1:]))

    def clearance_m(self, x: FloatArray | float) -> FloatArray:
        """How high satellites stand above the cone; see `GroundSegment.clearance_m`."""
        height, _, distance, _ = self._parts(x)
        return height - distance * self.sine_min_elevation

    def clearance_rate(self, x: FloatArray | float) -> FloatArray:
        """The rate of the clearance."""
        _, climb, distance, closing = self._parts(x)
        return climb - closing / distance * self.sine_min_elevation

    def sine_elevation(self, x: FloatArray | float) -> FloatArray:
        """Sine of the satellites' elevation above the gateways' horizontal planes."""
        height, _, distance, _ = self._parts(x)
        return height / distance

    def elevation_rate(self, x: FloatArray | float) -> FloatArray:
        """The sign of its rate."""
        height, climb, distance, closing = self._parts(x)
        return climb * distance**2 - height * closing

    def in_sight(self, x: FloatArray | float) -> BoolArray:
        """Whether satellites stand above the minimum elevation."""
        return self.sine_elevation(x) > self.sine_min_elevation

    def _parts(self, x: FloatArray | float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Height above the gateway's horizontal plane, its rate, the distance, and distance times its rate."""
        position, velocity = self.motion.at(np.broadcast_to(x, self.sine_min_elevation.shape))
        sight = position - self.gateway_position_m
        distance = np.sqrt(_dot(sight, sight))
        return _dot(sight, self.up), _dot(velocity, self.up), distance, _dot(sight, velocity)


class LimbSight(NamedTuple):
    """From gateways in orbit, higher than the satellites, that see what the Earth does not hide.

    Attributes:
        motion: The satellites' motion in ITRS, over N intervals.
        gateway_motion: The gateways' motion.
        blocking_radius_m: Radius of the sphere that hides, (N,).
        scale_m: What the clearance is divided by, (N,); see `limb_clearance_m`.
    """

    motion: Motion
    gateway_motion: Motion
    blocking_radius_m: FloatArray
    scale_m: FloatArray

    def take(self, rows: IntArray) -> LimbSight:
        """Some of the pairs."""
        return LimbSight(
            self.motion.take(rows), self.gateway_motion.take(rows), self.blocking_radius_m[rows], self.scale_m[rows]
        )

    def clearance_m(self, x: FloatArray | float) -> FloatArray:
        """See `limb_clearance_m`."""
        satellite, gateway = self._states(x)
        return limb_clearance_m(satellite[0], gateway[0], self.blocking_radius_m, self.scale_m)

    def clearance_rate(self, x: FloatArray | float) -> FloatArray:
        """The rate of the clearance."""
        (satellite, velocity), (gateway, drift) = self._states(x)
        near, far = (tangent_m(position, self.blocking_radius_m) for position in (satellite, gateway))
        rate = _dot(velocity, gateway) + _dot(satellite, drift)
        rate += _dot(satellite, velocity) / near * far + _dot(gateway, drift) / far * near
        return np.asarray(rate / self.scale_m)

    def sine_elevation(self, x: FloatArray | float) -> FloatArray:
        """Sine of the gateways' elevation above the satellites' horizontal planes."""
        (satellite, _), (gateway, _) = self._states(x)
        return sine_elevation(satellite, gateway)

    def elevation_rate(self, x: FloatArray | float) -> FloatArray:
        """The sign of its rate."""
        (satellite, velocity), (gateway, drift) = self._states(x)
        sight, approach = gateway - satellite, drift - velocity
        radius = np.sqrt(_dot(satellite, satellite))
        height = _dot(sight, satellite) / radius
        climb = (_dot(approach, satellite) + _dot(sight, velocity)) / radius
        climb -= height * _dot(satellite, velocity) / radius**2
        return np.asarray(climb * _dot(sight, sight) - height * _dot(sight, approach))

    def in_sight(self, x: FloatArray | float) -> BoolArray:
        """Whether the Earth hides nothing."""
        return self.clearance_m(x) > 0

    def _states(self, x: FloatArray | float) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        fraction = np.broadcast_to(x, self.scale_m.shape)
        return self.motion.at(fraction), self.gateway_motion.at(fraction)


def limb_clearance_m(
    satellite_m: FloatArray, gateway_m: FloatArray, blocking_radius_m: FloatArray, scale_m: FloatArray
) -> FloatArray:
    r"""Positive where the line between two points outside a sphere about the Earth's centre clears it.

    They see each other if the angle between them at the centre is less than the sum of the angles from each to its
    tangent point, $\arccos(R/r) + \arccos(R/g)$. With the cosines of both sides times $r g$:

    $$\mathbf{r} \cdot \mathbf{g} - R^2 + \sqrt{r^2 - R^2} \sqrt{g^2 - R^2} > 0$$

    This is smooth in both points, and has no inverse functions.

    Args:
        satellite_m: One point, (..., 3); inside the sphere it counts as on it.
        gateway_m: The other, (..., 3); broadcast with the first.
        blocking_radius_m: Radius R of the sphere, (...).
        scale_m: What the left side is divided by, so that it is a length, (...).

    Returns:
        Shape (...).
    """
    product = np.einsum("...i,...i", satellite_m, gateway_m) - blocking_radius_m**2
    product += tangent_m(satellite_m, blocking_radius_m) * tangent_m(gateway_m, blocking_radius_m)
    return np.asarray(product / scale_m)


def tangent_m(position_m: FloatArray, blocking_radius_m: FloatArray) -> FloatArray:
    """Length of the tangent from points (..., 3) to a sphere about the Earth's centre, at least 1 m, (...)."""
    squared = np.einsum("...i,...i", position_m, position_m) - blocking_radius_m**2
    return np.asarray(np.sqrt(np.maximum(squared, 1.0)))


def sine_elevation(observer_m: FloatArray, target_m: FloatArray) -> FloatArray:
    """Sine of the elevation of targets above the plane that is level at the observers, (N, 3) each; (N,)."""
    sight = target_m - observer_m
    return _dot(sight, observer_m) / np.sqrt(_dot(sight, sight) * _dot(observer_m, observer_m))


def _dot(first: FloatArray, second: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ni,ni->n", first, second))
