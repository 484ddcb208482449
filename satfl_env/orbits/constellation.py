"""A constellation over gateways on the turning Earth, as a scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits.contacts import MARCH_S, ContactWindows, contact_windows, states_and_windows
from satfl_env.orbits.earth import ROTATION_RADPS
from satfl_env.orbits.eclipse import sunlit_s
from satfl_env.orbits.gateways import Gateway, ground_segment
from satfl_env.orbits.propagation import Orbits
from satfl_env.orbits.scene import SceneSnapshot

FloatArray = NDArray[np.float64]


class ConstellationScene:
    """Satellites in orbit over gateways on the globe.

    Coordinates are Earth-fixed (ITRS), so gateways are at rest and velocities are against the ground.

    Args:
        orbits: The satellites; time 0 of the scene is their epoch.
        gateways: At least one.
        horizon_s: Longest window reported, positive; the longest orbital period if None. A satellite that never leaves
            a gateway's sight always has this window.

    Attributes:
        decay_s: Time from which each satellite is no longer in orbit, (S,), infinite where unknown. It is out of sight
            from then on, and an episode ends.

    Raises:
        ValueError: If there is no gateway, the horizon is not positive, or an orbit is lower than a gateway.
    """

    def __init__(self, orbits: Orbits, gateways: Sequence[Gateway], *, horizon_s: float | None = None) -> None:
        self.orbits = orbits
        self.gateways = tuple(gateways)
        self.ground = ground_segment(gateways)
        self.horizon_s = float(orbits.period_s.max()) if horizon_s is None else horizon_s
        # Orbits of one's own need not know of decays.
        self.decay_s = np.broadcast_to(getattr(orbits, "decay_s", np.inf), orbits.num_satellites)
        if not 0 < self.horizon_s < np.inf:
            raise ValueError(f"horizon_s must be positive and finite, got {self.horizon_s}")
        if self.min_distance_m <= 0:
            raise ValueError(f"orbits must be higher than every gateway, got one {-self.min_distance_m} m lower")

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
        return self.horizon_s + MARCH_S

    @property
    def min_distance_m(self) -> float:
        """Lower bound of every slant range."""
        return self.orbits.min_radius_m - self._gateway_radius_m()

    @property
    def max_distance_m(self) -> float:
        """Upper bound of every slant range."""
        return self.orbits.max_radius_m + self._gateway_radius_m()

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
        position, velocity, window = states_and_windows(self.orbits, self.ground, time_s, self.horizon_s)
        window = np.minimum(window, np.maximum(self.decay_s - time_s, 0.0)[:, None])
        return SceneSnapshot(
            time_s=time_s,
            position_m=position,
            velocity_mps=velocity,
            gateway_position_m=self.ground.position_m,
            distance_m=np.linalg.norm(position[:, None] - self.ground.position_m, axis=-1),
            visible=window > 0,
            window_s=window,
            gateway_frame=self.ground.frame,
        )

    def contact_windows(self, start_s: float, end_s: float) -> ContactWindows:
        """All contact windows between two times after the epoch."""
        return contact_windows(self.orbits, self.gateways, start_s, end_s).until(self.decay_s)

    def sunlit_s(self, start_s: float, end_s: float) -> FloatArray:
        """Seconds of sunlight of each satellite between two times after the epoch, (S,)."""
        return sunlit_s(self.orbits, start_s, end_s)

    def _gateway_radius_m(self) -> float:
        return float(np.linalg.norm(self.ground.position_m, axis=-1).max())
