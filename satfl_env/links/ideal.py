"""Links of one fixed rate, for studies where the radio is not the question."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class IdealLinks:
    """The same rate for every pair, whoever else sends (the ideal links of federated task clustering).

    Attributes:
        rate_bps: Rate of every pair, positive.
        transmit_power_w: Power drawn while a satellite sends, not negative.

    Raises:
        ValueError: If a value is out of its range.
    """

    rate_bps: float = 1e9
    transmit_power_w: float = 0.0

    def __post_init__(self) -> None:
        if not self.rate_bps > 0:
            raise ValueError(f"rate_bps must be positive, got {self.rate_bps}")
        if not self.transmit_power_w >= 0:
            raise ValueError(f"transmit_power_w must not be negative, got {self.transmit_power_w}")

    def solo_rate_bps(self, distance_m: FloatArray) -> FloatArray:
        """The fixed rate in bit/s for each pair, in the shape of `distance_m`."""
        return np.full(distance_m.shape, self.rate_bps)

    def associated_rate_bps(
        self,
        position_m: FloatArray,
        gateway_position_m: FloatArray,
        distance_m: FloatArray,
        association: IntArray,
        gateway_frame: FloatArray | None = None,
    ) -> FloatArray:
        """The fixed rate in bit/s for each satellite, (S,); 0 for those that sit out (`association` = G)."""
        return np.where(association < distance_m.shape[1], self.rate_bps, 0.0)
