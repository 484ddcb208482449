"""Gateways in orbit above the satellites: at rest over the equator, or in motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol

import numpy as np
import pydantic.dataclasses
from numpy.typing import NDArray
from pydantic import Field

from satfl_env.orbits.earth import (
    CLEAR_OF_AIR_M,
    EQUATORIAL_RADIUS_M,
    GRAVITY_M3PS2,
    ROTATION_RADPS,
    central_acceleration_mps2,
)
from satfl_env.orbits.frames import seconds_between
from satfl_env.orbits.hermite import Motion, motion_between
from satfl_env.orbits.line_of_sight import GrazingHeight
from satfl_env.orbits.propagation import Orbits, States, earth_fixed_states
from satfl_env.orbits.sights import LimbSight, limb_clearance_m, sine_elevation
from satfl_env.settings import STRICT, Finite

if TYPE_CHECKING:
    from astropy.time import Time

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

GEOSTATIONARY_RADIUS_M = (GRAVITY_M3PS2 / ROTATION_RADPS**2) ** (1 / 3)
"""Radius of the orbit that takes one turn of the Earth."""


class SpaceGateway(Protocol):
    """A gateway in orbit, higher than every satellite, whose antenna looks down.

    It sees a satellite where the line of sight stays higher than `grazing_height_m` above the equatorial radius.
    """

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def grazing_height_m(self) -> float:
        """Height above the equatorial radius that its lines of sight must clear."""
        ...

    @property
    def min_radius_m(self) -> float:
        """Lower bound of its distance from the Earth's centre."""
        ...

    @property
    def max_radius_m(self) -> float:
        """Upper bound of its distance from the Earth's centre."""
        ...

    @property
    def max_speed_mps(self) -> float:
        """Upper bound of its inertial speed."""
        ...

    def states(self, epoch: Time, time_s: FloatArray) -> States:
        """Positions and velocities in ITRS at times (T,) after an epoch, (T, 3) each."""
        ...


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class GeostationaryGateway:
    """A geostationary satellite: at rest over the equator, at 42,164 km from the Earth's centre.

    Attributes:
        name: Its name.
        longitude_deg: Longitude, east positive, in [-180, 360].
        grazing_height_m: Height above the equatorial radius that its lines of sight must clear, in [0, 1,000,000].

    Raises:
        ValueError: If a value is out of its range.
    """

    name: Annotated[str, Field(min_length=1)]
    longitude_deg: Annotated[Finite, Field(ge=-180, le=360)]
    grazing_height_m: GrazingHeight = CLEAR_OF_AIR_M
    kind: Literal["geo"] = "geo"

    min_radius_m = max_radius_m = GEOSTATIONARY_RADIUS_M
    max_speed_mps = ROTATION_RADPS * GEOSTATIONARY_RADIUS_M

    def states(self, epoch: Time, time_s: FloatArray) -> States:
        """The same place at each time."""
        longitude = np.radians(self.longitude_deg)
        position = GEOSTATIONARY_RADIUS_M * np.array([np.cos(longitude), np.sin(longitude), 0.0])
        shape = (len(time_s), 3)
        return np.broadcast_to(position, shape), np.zeros(shape)


@dataclass(frozen=True, eq=False)
class OrbitingGateway:
    """A gateway on an orbit of its own, such as a satellite in medium Earth orbit.

    Attributes:
        name: Its name.
        orbits: The orbit of this one satellite.
        grazing_height_m: Height above the equatorial radius that its lines of sight must clear.

    Raises:
        ValueError: If the orbits are not of one satellite.
    """

    name: str
    orbits: Orbits
    grazing_height_m: float = CLEAR_OF_AIR_M

    def __post_init__(self) -> None:
        if self.orbits.num_satellites != 1:
            raise ValueError(f"orbits must be those of one satellite, got {self.orbits.num_satellites}")

    @property
    def min_radius_m(self) -> float:
        """Lower bound of its distance from the Earth's centre."""
        return self.orbits.min_radius_m

    @property
    def max_radius_m(self) -> float:
        """Upper bound of its distance from the Earth's centre."""
        return self.orbits.max_radius_m

    @property
    def max_speed_mps(self) -> float:
        """Upper bound of its inertial speed."""
        return self.orbits.max_speed_mps

    def states(self, epoch: Time, time_s: FloatArray) -> States:
        """Where its orbit takes it."""
        position, velocity = earth_fixed_states(self.orbits, seconds_between(self.orbits.epoch, epoch) + time_s)
        return position[:, 0], velocity[:, 0]


class SpaceSegment:
    """Gateways in orbit as arrays, in ITRS; see `Segment`.

    Args:
        gateways: At least one.
        epoch: Time 0.
    """

    sees_level = False
    march_steps = 60

    def __init__(self, gateways: Sequence[SpaceGateway], epoch: Time) -> None:
        self.gateways, self.epoch = tuple(gateways), epoch
        self.blocking_radius_m = EQUATORIAL_RADIUS_M + np.array([gateway.grazing_height_m for gateway in gateways])
        self.min_radius_m = np.array([gateway.min_radius_m for gateway in gateways])
        self.max_radius_m = np.array([gateway.max_radius_m for gateway in gateways])
        self.max_speed_mps = np.array([gateway.max_speed_mps for gateway in gateways])
        self.sine_min_elevation = np.full(len(gateways), -1.0)

    def distance_bounds_m(self, orbits: Orbits) -> tuple[float, float]:
        """Lower and upper bound of the slant ranges; the satellites must be lower than every gateway."""
        lowest_m = float(self.min_radius_m.min())
        if orbits.max_radius_m >= lowest_m:
            raise ValueError(
                f"orbits must be lower than every gateway in space, got one {orbits.max_radius_m - lowest_m} m higher"
            )
        return lowest_m - orbits.max_radius_m, float(self.max_radius_m.max()) + orbits.max_radius_m

    def states(self, time_s: FloatArray) -> States:
        """Positions and velocities at each time."""
        position, velocity = zip(*(gateway.states(self.epoch, time_s) for gateway in self.gateways), strict=True)
        return np.stack(position, axis=1), np.stack(velocity, axis=1)

    def frames(self, position_m: FloatArray) -> FloatArray:
        """East, south and down."""
        down = -position_m / np.linalg.norm(position_m, axis=-1, keepdims=True)
        east = np.stack([-position_m[:, 1], position_m[:, 0], np.zeros(len(position_m))], axis=-1)
        length = np.linalg.norm(east, axis=-1, keepdims=True)
        # Over a pole every direction is south.
        east = np.divide(east, length, out=np.tile([1.0, 0.0, 0.0], (len(east), 1)), where=length > 0)
        return np.stack([east, np.cross(down, east), down], axis=1)

    def clearances_m(self, satellite_m: FloatArray, gateway_m: FloatArray) -> FloatArray:
        """See `limb_clearance_m`."""
        return limb_clearance_m(satellite_m[:, :, None], gateway_m[:, None], self.blocking_radius_m, self.max_radius_m)

    def curvature_bound_mps2(self, orbits: Orbits) -> FloatArray:
        """From bounds of what the clearance is made of: the product of the two positions, and that of the tangents."""
        near = _tangent_bounds(orbits.min_radius_m, orbits.max_radius_m, orbits.max_speed_mps, self.blocking_radius_m)
        far = _tangent_bounds(self.min_radius_m, self.max_radius_m, self.max_speed_mps, self.blocking_radius_m)
        product = central_acceleration_mps2(orbits.min_radius_m) * self.max_radius_m
        product += 2 * orbits.max_speed_mps * self.max_speed_mps
        product += orbits.max_radius_m * central_acceleration_mps2(self.min_radius_m)
        tangents = near.curve * far.length + 2 * near.rate * far.rate + near.length * far.curve
        return np.asarray((product + tangents) / self.max_radius_m)

    def sight(self, motion: Motion, gateways: States, interval: IntArray, gateway: IntArray) -> LimbSight:
        """Lines of sight to satellites in motion."""
        position, velocity = gateways
        moved = motion_between(
            (position[interval, gateway], position[interval + 1, gateway]),
            (velocity[interval, gateway], velocity[interval + 1, gateway]),
            motion.step_s,
        )
        return LimbSight(motion, moved, self.blocking_radius_m[gateway], self.max_radius_m[gateway])

    def sine_elevation(self, satellite_m: FloatArray, gateway_m: FloatArray, gateway: IntArray) -> FloatArray:
        """Of the gateways above the satellites' horizontal planes."""
        return sine_elevation(satellite_m, gateway_m)

    def clear(self, satellite_m: FloatArray, gateway_m: FloatArray) -> BoolArray:
        """Where the gateway sees the satellite."""
        return np.asarray(self.clearances_m(satellite_m[None], gateway_m[None])[0] > 0)

    def reach_rad(self, radius_m: float) -> FloatArray:
        """The angles from both ends to the tangent point."""
        near, far = (np.minimum(self.blocking_radius_m / end, 1.0) for end in (radius_m, self.max_radius_m))
        return np.asarray(np.arccos(near) + np.arccos(far))


class _TangentBounds(NamedTuple):
    length: FloatArray
    rate: FloatArray
    curve: FloatArray


def _tangent_bounds(
    min_radius_m: FloatArray | float,
    max_radius_m: FloatArray | float,
    speed_mps: FloatArray | float,
    blocking_radius_m: FloatArray,
) -> _TangentBounds:
    r"""Bounds of the tangent from an orbit to a sphere, its rate and its second derivative, (G,) each.

    With $s^2 = r^2 - R^2$, $s \dot s = r \dot r$. On a Kepler orbit of eccentricity e, $|r \dot r| \le e r v$, and the
    rate of $r \dot r$ is $v^2 - \mu / r$, at most $e v^2$ in size.
    """
    eccentricity = (max_radius_m - min_radius_m) / (max_radius_m + min_radius_m)
    shortest, longest = (
        np.sqrt(np.maximum(radius_m**2 - blocking_radius_m**2, 1.0)) for radius_m in (min_radius_m, max_radius_m)
    )
    rate = eccentricity * max_radius_m * speed_mps / shortest
    oblateness = 0.01 * GRAVITY_M3PS2 / min_radius_m
    return _TangentBounds(longest, rate, (eccentricity * speed_mps**2 + oblateness + rate**2) / shortest)
