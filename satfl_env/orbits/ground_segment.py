"""Gateways at rest as arrays, and what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.earth import ROTATION_RADPS, central_acceleration_mps2
from satfl_env.orbits.frames import astropy
from satfl_env.orbits.gateways import Gateway
from satfl_env.orbits.hermite import Motion
from satfl_env.orbits.propagation import Orbits, States
from satfl_env.orbits.sights import ConeSight

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GroundSegment:
    """Gateways at rest as arrays, in ITRS; see `Segment`.

    Attributes:
        position_m: (G, 3).
        frame: Local axes of each gateway in rows east, north and up, (G, 3, 3).
        sine_min_elevation: (G,).
    """

    position_m: FloatArray
    frame: FloatArray
    sine_min_elevation: FloatArray

    march_steps: ClassVar[int] = 10

    @property
    def up(self) -> FloatArray:
        """Vertical of each gateway, (G, 3)."""
        return self.frame[:, 2]

    @property
    def radius_m(self) -> FloatArray:
        """Distances from the Earth's centre, (G,)."""
        return np.asarray(np.linalg.norm(self.position_m, axis=-1))

    def distance_bounds_m(self, orbits: Orbits) -> tuple[float, float]:
        """Lower and upper bound of the slant ranges; the satellites must be higher than every gateway."""
        highest_m = float(self.radius_m.max())
        if orbits.min_radius_m <= highest_m:
            raise ValueError(
                f"orbits must be higher than every gateway, got one {highest_m - orbits.min_radius_m} m lower"
            )
        return orbits.min_radius_m - highest_m, orbits.max_radius_m + highest_m

    def states(self, time_s: FloatArray) -> States:
        """The same places at each time."""
        shape = (len(time_s), *self.position_m.shape)
        return np.broadcast_to(self.position_m, shape), np.broadcast_to(0.0, shape)

    def frames(self, position_m: FloatArray) -> FloatArray:
        """East, north and up."""
        return self.frame

    def clearances_m(self, satellite_m: FloatArray, gateway_m: FloatArray) -> FloatArray:
        """See `clearance_m`."""
        return self.clearance_m(satellite_m.reshape(-1, 3)).reshape(*satellite_m.shape[:2], -1)

    def clearance_m(self, position_m: FloatArray) -> FloatArray:
        """How high satellites stand above each gateway's cone of minimum elevation, along its vertical.

        (r - g) . up - |r - g| sin E, positive where the gateway sees the satellite; no refraction.

        Args:
            position_m: Satellite positions in ITRS, (N, 3).

        Returns:
            Clearances in m, (N, G).
        """
        # |r - g|^2 is multiplied out: two matrix products in place of an (N, G, 3) difference.
        squared = position_m @ (-2 * self.position_m.T)
        squared += (position_m**2).sum(axis=-1)[:, None]
        squared += (self.position_m**2).sum(axis=-1)
        cone = np.sqrt(squared, out=squared)
        cone *= self.sine_min_elevation
        cone += (self.position_m * self.up).sum(axis=-1)
        return np.asarray(position_m @ self.up.T - cone)

    def curvature_bound_mps2(self, orbits: Orbits) -> FloatArray:
        """A bound: a (1 + |sin E|) + |sin E| v^2 / d.

        With a the Earth-fixed acceleration, v the speed and d the shortest range.
        """
        speed = orbits.max_speed_mps + ROTATION_RADPS * orbits.max_radius_m
        acceleration = (
            central_acceleration_mps2(orbits.min_radius_m)
            + 2 * ROTATION_RADPS * speed
            + ROTATION_RADPS**2 * orbits.max_radius_m
        )
        nearest = np.maximum(orbits.min_radius_m - self.radius_m, 1e3)
        return np.asarray(acceleration + np.abs(self.sine_min_elevation) * (acceleration + speed**2 / nearest))

    def sight(self, motion: Motion, gateways: States, interval: IntArray, gateway: IntArray) -> ConeSight:
        """Lines of sight to satellites in motion."""
        return ConeSight(motion, self.position_m[gateway], self.up[gateway], self.sine_min_elevation[gateway])

    def sine_elevation(self, satellite_m: FloatArray, gateway_m: FloatArray, gateway: IntArray) -> FloatArray:
        """Of the satellites above the horizontal."""
        sight = satellite_m - gateway_m
        return np.asarray((sight * self.up[gateway]).sum(axis=-1) / np.linalg.norm(sight, axis=-1))

    @property
    def sees_level(self) -> bool:
        """Whether satellites above the horizontal plane, and no others, are above every gateway's horizon."""
        return bool((self.sine_min_elevation >= 0).all())

    def clear(self, satellite_m: FloatArray, gateway_m: FloatArray) -> BoolArray:
        """Above the horizontal plane, or down to a minimum elevation below it."""
        sight = satellite_m[:, None] - gateway_m
        height = (sight * self.up).sum(axis=-1)
        return np.asarray(height > np.minimum(self.sine_min_elevation, 0.0) * np.linalg.norm(sight, axis=-1))

    def reach_rad(self, radius_m: float) -> FloatArray:
        """Angle at the centre between the gateway and the farthest satellites that it sees."""
        elevation = np.arcsin(self.sine_min_elevation)
        return np.asarray(np.arccos(np.minimum(self.radius_m * np.cos(elevation) / radius_m, 1.0)) - elevation)


def ground_segment(gateways: Sequence[Gateway]) -> GroundSegment:
    """Positions and local axes of gateways in ITRS, at least one."""
    latitude = np.radians([gateway.latitude_deg for gateway in gateways])
    longitude = np.radians([gateway.longitude_deg for gateway in gateways])
    altitude = np.array([gateway.altitude_m for gateway in gateways])
    rad = astropy("units").rad
    place = astropy("coordinates").EarthLocation.from_geodetic(longitude * rad, latitude * rad, altitude)
    (sin_lat, cos_lat), (sin_lon, cos_lon) = ((np.sin(x), np.cos(x)) for x in (latitude, longitude))
    east = np.stack([-sin_lon, cos_lon, np.zeros_like(longitude)], axis=-1)
    north = np.stack([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat], axis=-1)
    up = np.stack([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat], axis=-1)
    return GroundSegment(
        position_m=np.stack([axis.to_value("m") for axis in place.geocentric], axis=-1),
        frame=np.stack([east, north, up], axis=1),
        sine_min_elevation=np.sin(np.radians([gateway.min_elevation_deg for gateway in gateways])),
    )
