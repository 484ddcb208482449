"""When a satellite comes down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sgp4.api import Satrec

from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M, LOWEST_ALTITUDE_M
from satfl_env.orbits.element_set import SGP4_RADIUS_M

if TYPE_CHECKING:
    from astropy.time import Time

LOWEST_RADIUS_M = EQUATORIAL_RADIUS_M + LOWEST_ALTITUDE_M
# A mean perigee leaves out the short-period motion, some ten kilometres, and is looked at once a day only.
_SAFE_RADIUS_M = LOWEST_RADIUS_M + 100e3
# In half of it a perigee is left by three kilometres at most.
_STEP_S = 60.0
_DAY_S = 86_400.0


def time_of_decay_s(satellite: Satrec, epoch: Time, span_s: float) -> float:
    """Time after an epoch at which a satellite comes down, infinite if it stays up for `span_s`.

    It comes down where it is less than 100 km above the equatorial radius, or SGP4 has no state; at the epoch or at the
    last of the steps of a minute before.
    """
    day, fraction = epoch.jd1, epoch.jd2
    if _stays_high(satellite, day, fraction, span_s):
        return np.inf
    for start_s in np.arange(0.0, span_s, _DAY_S):
        time_s = np.arange(start_s, min(start_s + _DAY_S, span_s) + _STEP_S, _STEP_S)
        error, position_km, _ = satellite.sgp4_array(np.full(len(time_s), day), fraction + time_s / _DAY_S)
        # What is not finite is not above.
        down = (error != 0) | ~(np.linalg.norm(position_km, axis=-1) * 1e3 > LOWEST_RADIUS_M)
        if down.any():
            return max(float(time_s[np.argmax(down)]) - _STEP_S, 0.0)
    return np.inf


def _stays_high(satellite: Satrec, day: float, fraction: float, span_s: float) -> bool:
    """Whether the mean perigee is high every day and at the end: a satellite that has come down does not rise again.

    An axis that grows is no sign of a high perigee: SGP4 has lost its way then.
    """
    axis = satellite.a
    for time_s in (*np.arange(0.0, span_s, _DAY_S), span_s):
        error, _, _ = satellite.sgp4(day, fraction + time_s / _DAY_S)
        perigee_m = satellite.am * (1 - satellite.em) * SGP4_RADIUS_M
        if error or not perigee_m > _SAFE_RADIUS_M or satellite.am > 1.01 * axis:
            return False
    return True
