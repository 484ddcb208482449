"""The interface of links, and of the geometry they read."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from satfl_env.settings import Each

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class Geometry(Protocol):
    """Where S satellites and G gateways are at one instant, such as the snapshot of a scene."""

    @property
    def position_m(self) -> FloatArray:
        """Satellite positions, (S, 3)."""

    @property
    def gateway_position_m(self) -> FloatArray:
        """Gateway positions, (G, 3)."""

    @property
    def distance_m(self) -> FloatArray:
        """Slant ranges, (S, G)."""

    @property
    def gateway_frame(self) -> FloatArray | None:
        """Local axes of each gateway in rows, the third the antenna's boresight, (G, 3, 3); None for x, y and z."""

    @property
    def clear(self) -> BoolArray | None:
        """Whether nothing stands between satellite and gateway, (S, G); None: that is so above the horizontal plane."""

    @property
    def sender(self) -> IntArray | None:
        """The satellite that sends in each row, (S,), or for each pair, (S, G); None where each sends for itself."""


class Links(Protocol):
    """Rates between satellites and gateways."""

    @property
    def transmit_power_w(self) -> Each:
        """Power that a satellite draws while it sends, in W: one number, or (S,)."""

    def solo_rate_bps(self, snapshot: Geometry) -> FloatArray:
        """Rate of each pair in bit/s where no other satellite sends, (S, G)."""

    def associated_rate_bps(
        self, snapshot: Geometry, association: IntArray, share: FloatArray | None = None
    ) -> FloatArray:
        """Rate of each satellite in bit/s under an association, shared band and interference included, (S,).

        Args:
            snapshot: Where everything is.
            association: Gateway of each satellite in 0..G-1, G for those that sit out, (S,).
            share: Share of its gateway's band of each satellite, (S,); None: equal parts. Given only where a scenario's
                section `access` divides the band otherwise.

        Returns:
            Rates in bit/s, (S,); 0 for satellites that sit out.
        """

    def highest_rate_bps(self, min_distance_m: float) -> float:
        """Upper bound of `solo_rate_bps` at slant ranges of at least `min_distance_m`."""
