"""The interface of scenes: a snapshot of the geometry at any time, and bounds that hold at all times.

`S` is the number of satellites, `G` the number of gateways. Coordinates are Cartesian and in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.intervals import Intervals

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_DTYPES: dict[str, type[np.generic]] = {
    "visible": np.bool_,
    "clear": np.bool_,
    "sender": np.int64,
    "satellite_up": np.bool_,
}


@dataclass(frozen=True, eq=False)
class SceneSnapshot:
    """The geometry at one instant.

    Attributes:
        time_s: Time since the start of the scene.
        position_m: Satellite positions, (S, 3).
        velocity_mps: Satellite velocities, (S, 3).
        gateway_position_m: Gateway positions, (G, 3).
        distance_m: Slant range of every pair, (S, G).
        visible: Whether the satellite is inside the gateway's coverage, (S, G).
        window_s: Remaining contact window, (S, G); 0 where not visible.
        gateway_frame: Local axes of each gateway in rows east, north and up, or east, south and down where it looks
            down from space, (G, 3, 3); None where they are x, y and z at every gateway.
        clear: Whether nothing stands between satellite and gateway, whatever the gateway's coverage, (S, G); None where
            that is so above the horizontal plane of every gateway, and nowhere else.
        sender: The satellite that sends in each row, (S,), or for each pair, (S, G), where models are relayed; None
            where each sends for itself.
        satellite_up: Satellites that work, (S,); None where all do.
    """

    time_s: float
    position_m: FloatArray
    velocity_mps: FloatArray
    gateway_position_m: FloatArray
    distance_m: FloatArray
    visible: BoolArray
    window_s: FloatArray
    gateway_frame: FloatArray | None = None
    clear: BoolArray | None = None
    sender: IntArray | None = None
    satellite_up: BoolArray | None = None

    def __post_init__(self) -> None:
        """Make arrays of what a scene of somebody's own may give as lists, or as numbers of another type."""
        fields = vars(self)
        for name, value in fields.items():
            if name != "time_s" and value is not None:
                fields[name] = np.asarray(value, dtype=_DTYPES.get(name, np.float64))


class Scene(Protocol):
    """Satellites in motion, and gateways."""

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        ...

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        ...

    @property
    def horizon_s(self) -> float:
        """Upper bound of every window."""
        ...

    @property
    def min_distance_m(self) -> float:
        """Lower bound of every slant range."""
        ...

    @property
    def max_distance_m(self) -> float:
        """Upper bound of every slant range."""
        ...

    @property
    def max_position_m(self) -> float:
        """Upper bound of the absolute value of every satellite coordinate."""
        ...

    @property
    def max_speed_mps(self) -> float:
        """Upper bound of every satellite's speed."""
        ...

    def at(self, time_s: float) -> SceneSnapshot:
        """The geometry `time_s` seconds after the start."""
        ...

    def sunlit_s(self, start_s: float, end_s: float) -> FloatArray:
        """Seconds of sunlight of each satellite between two times, (S,)."""
        ...


@runtime_checkable
class ForeseenScene(Protocol):
    """What a scene may say beyond `Scene`: what is to come. See `as_foreseen` for scenes that do not."""

    def contacts(self, start_s: float, end_s: float) -> Intervals:
        """All contacts between two times, of rows satellite times G plus gateway; cut at both ends of the span."""
        ...

    def eclipses(self, start_s: float, end_s: float) -> Intervals:
        """All eclipses between two times, of rows satellite; cut at both ends of the span."""
        ...


def positions_m(scene: Scene, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions of satellites, (T, S, 3), and of gateways, (T, G, 3), at some times (T,) after the start.

    By the scene's own method of that name, or by snapshots where it has none.
    """
    own = getattr(scene, "positions_m", None)
    if own is not None:
        satellites_m, gateways_m = own(time_s)
        return satellites_m, gateways_m
    snapshots = [scene.at(time) for time in time_s.tolist()]
    return (
        np.stack([snapshot.position_m for snapshot in snapshots]),
        np.stack([snapshot.gateway_position_m for snapshot in snapshots]),
    )
