"""Links of one fixed rate, for studies that leave out the radio."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from satfl_env.links.contract import Geometry
from satfl_env.settings import STRICT, EachNonNegative, Positive

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IdealLinks:
    """Links of one fixed rate without interference (task clustering, section II).

    Attributes:
        rate_bps: Rate of every pair in bit/s, whoever else sends.
        transmit_power_w: Power that a satellite draws while it sends, in W.

    Raises:
        ValueError: If a value is out of its range.
    """

    kind: Literal["ideal"] = "ideal"
    rate_bps: Positive = 1e9
    transmit_power_w: EachNonNegative = 0.0

    undivided: ClassVar[str | None] = "the rate is fixed"

    def solo_rate_bps(self, snapshot: Geometry) -> FloatArray:
        """The fixed rate in bit/s for each pair, (S, G)."""
        return np.full(snapshot.distance_m.shape, self.rate_bps)

    def associated_rate_bps(
        self, snapshot: Geometry, association: IntArray, share: FloatArray | None = None
    ) -> FloatArray:
        """The fixed rate in bit/s for each satellite, whatever its share, (S,); 0 for those that sit out."""
        return np.where(association < snapshot.distance_m.shape[1], self.rate_bps, 0.0)

    def highest_rate_bps(self, min_distance_m: float) -> float:
        """The fixed rate in bit/s."""
        return self.rate_bps
