"""Losses that come along, so that the scenario `storm` runs without `itur`.

They are those of one case at every shipped site: all effects at 20 GHz, exceeded in 0.1 % of an average year, with an
array of 64 x 64 elements. `tests/links/record_losses.py` makes the file by `itur`.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib import resources
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from satfl_env.links.antenna import aperture_diameter_m
from satfl_env.links.itu import Effect, Site

FloatArray = NDArray[np.float64]

EFFECTS: frozenset[Effect] = frozenset(get_args(Effect))
CARRIER_HZ = 20e9
EXCEEDANCE_PERCENT = 0.1
ANTENNA_DIAMETER_M = aperture_diameter_m((64, 64), CARRIER_HZ)

# How far a site may be from the recorded one: what the ways between coordinates leave.
_NEAR = Site(latitude_deg=1e-4, longitude_deg=1e-4, altitude_m=1.0)


def recorded_loss_db(
    site: Site,
    *,
    effects: Collection[Effect],
    carrier_hz: float,
    exceedance_percent: float,
    antenna_diameter_m: float,
) -> FloatArray | None:
    """Losses in dB at the elevations of a table, see `zenith_table_db`, or None where they are not recorded."""
    asked = [carrier_hz, exceedance_percent, antenna_diameter_m]
    if frozenset(effects) != EFFECTS or not np.allclose(asked, [CARRIER_HZ, EXCEEDANCE_PERCENT, ANTENNA_DIAMETER_M]):
        return None
    sites, losses_db = _recorded()
    found = np.flatnonzero((np.abs(sites - site) <= _NEAR).all(axis=1))
    return losses_db[found[0]] if len(found) else None


@cache
def _recorded() -> tuple[FloatArray, FloatArray]:
    """Latitude, longitude and altitude of the sites, (N, 3), and their losses, (N, K)."""
    text = resources.files("satfl_env.links").joinpath("recorded_losses.csv").read_text(encoding="utf-8")
    rows = np.loadtxt(text.splitlines(), delimiter=",", skiprows=1)
    return rows[:, :3], rows[:, 3:]
