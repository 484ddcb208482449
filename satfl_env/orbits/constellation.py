"""A constellation over gateways on the turning Earth, as a scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.contacts import DEFAULT_STEP_S, ContactWindows, contact_windows, states_and_windows
from satfl_env.orbits.earth import ROTATION_RADPS
from satfl_env.orbits.eclipse import eclipses, sunlit_s
from satfl_env.orbits.gateways import Gateway
from satfl_env.orbits.intervals import Intervals
from satfl_env.orbits.propagation import Orbits, earth_fixed_states
from satfl_env.orbits.scene import SceneSnapshot
from satfl_env.orbits.segments import segments
from satfl_env.orbits.space_gateways import SpaceGateway

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class ConstellationScene:
    """Satellites in orbit over gateways on the globe, on platforms above it, or in higher orbits.

    Coordinates are Earth-fixed (ITRS), so gateways below the satellites are at rest, and velocities are against the
    ground.

    Args:
        orbits: The satellites; time 0 of the scene is their epoch.
        gateways: At least one.
        horizon_s: Longest window reported, positive; the longest orbital period if None. A satellite that never leaves
            a gateway's sight always has this window.

    Attributes:
        min_distance_m: Lower bound of every slant range.
        max_distance_m: Upper bound of every slant range.
        segments: The gateways by kind.
        decay_s: Time from which each satellite is no longer in orbit, (S,), infinite where unknown. It is out of sight
            from then on, and an episode ends.

    Raises:
        ValueError: If there is no gateway, the horizon is not positive, or an orbit is lower than a gateway on the
            globe or higher than one in space.
    """

    def __init__(
        self, orbits: Orbits, gateways: Sequence[Gateway | SpaceGateway], *, horizon_s: float | None = None
    ) -> None:
        self.orbits = orbits
        self.gateways = tuple(gateways)
        self.segments = segments(gateways, orbits.epoch)
        self.horizon_s = float(orbits.period_s.max()) if horizon_s is None else horizon_s
        # Orbits of one's own need not know of decays.
        self.decay_s = np.broadcast_to(getattr(orbits, "decay_s", np.inf), orbits.num_satellites)
        if not 0 < self.horizon_s < np.inf:
            raise ValueError(f"horizon_s must be positive and finite, got {self.horizon_s}")
        nearest_m, farthest_m = zip(*(segment.distance_bounds_m(orbits) for _, segment in self.segments), strict=True)
        self.min_distance_m, self.max_distance_m = min(nearest_m), max(farthest_m)

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return self.orbits.num_satellites

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateways)

    @property
    def look_ahead_s(self) -> float:
        """How long after an instant orbits are asked for states, to find the windows of the instant."""
        return self.horizon_s + DEFAULT_STEP_S * max(segment.march_steps for _, segment in self.segments)

    @property
    def max_position_m(self) -> float:
        """Upper bound of the absolute value of every satellite coordinate."""
        return self.orbits.max_radius_m

    @property
    def max_speed_mps(self) -> float:
        """Upper bound of every satellite's speed against the ground."""
        return self.orbits.max_speed_mps + ROTATION_RADPS * self.orbits.max_radius_m

    def at(self, time_s: float) -> SceneSnapshot:
        """The geometry `time_s` seconds after the epoch."""
        window = np.empty((self.num_satellites, self.num_gateways))
        gateway_m, frame = np.empty((self.num_gateways, 3)), np.empty((self.num_gateways, 3, 3))
        for which, segment in self.segments:
            position, velocity, window[:, which] = states_and_windows(self.orbits, segment, time_s, self.horizon_s)
            gateway_m[which] = segment.states(np.array([time_s]))[0][0]
            frame[which] = segment.frames(gateway_m[which])
        window = np.minimum(window, np.maximum(self.decay_s - time_s, 0.0)[:, None])
        return SceneSnapshot(
            time_s=time_s,
            position_m=position,
            velocity_mps=velocity,
            gateway_position_m=gateway_m,
            distance_m=np.linalg.norm(position[:, None] - gateway_m, axis=-1),
            visible=window > 0,
            window_s=window,
            gateway_frame=frame,
            clear=self._clear(position, gateway_m),
        )

    def positions_m(self, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions of satellites, (T, S, 3), and of gateways, (T, G, 3), at some times (T,) after the epoch."""
        gateways_m = np.empty((len(time_s), self.num_gateways, 3))
        for which, segment in self.segments:
            gateways_m[:, which] = segment.states(time_s)[0]
        return earth_fixed_states(self.orbits, time_s)[0], gateways_m

    def contact_windows(self, start_s: float, end_s: float) -> ContactWindows:
        """All contact windows between two times after the epoch."""
        return contact_windows(self.orbits, self.gateways, start_s, end_s).until(self.decay_s)

    def contacts(self, start_s: float, end_s: float) -> Intervals:
        """The same windows as intervals of rows satellite times G plus gateway."""
        windows = self.contact_windows(start_s, end_s)
        return Intervals(windows.satellite * self.num_gateways + windows.gateway, windows.rise_s, windows.set_s)

    def eclipses(self, start_s: float, end_s: float) -> Intervals:
        """All eclipses between two times after the epoch, of rows satellite."""
        return eclipses(self.orbits, start_s, end_s)

    def sunlit_s(self, start_s: float, end_s: float) -> FloatArray:
        """Seconds of sunlight of each satellite between two times after the epoch, (S,)."""
        return sunlit_s(self.orbits, start_s, end_s)

    def _clear(self, position_m: FloatArray, gateway_m: FloatArray) -> BoolArray | None:
        """See `SceneSnapshot.clear`."""
        if all(segment.sees_level for _, segment in self.segments):
            return None
        clear = np.empty((self.num_satellites, self.num_gateways), dtype=np.bool_)
        for which, segment in self.segments:
            clear[:, which] = segment.clear(position_m, gateway_m[which])
        return clear
