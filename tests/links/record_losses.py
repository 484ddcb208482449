"""Makes the file of `satfl_env.links.recorded`: `python -m tests.links.record_losses`, with the extra `links`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satfl_env.links import recorded
from satfl_env.links.atmosphere import ELEVATIONS_DEG
from satfl_env.links.itu import Site, slant_path_loss_db
from satfl_env.orbits import sites

FILE = Path(recorded.__file__).with_name("recorded_losses.csv")


def loss_db(site: Site) -> NDArray[np.float64]:
    """What `itur` gives for a site, (K,)."""
    return slant_path_loss_db(
        site,
        ELEVATIONS_DEG,
        effects=recorded.EFFECTS,
        carrier_hz=recorded.CARRIER_HZ,
        exceedance_percent=recorded.EXCEEDANCE_PERCENT,
        antenna_diameter_m=recorded.ANTENNA_DIAMETER_M,
    )


if __name__ == "__main__":
    header = [*Site._fields, *(f"{elevation:.3f}" for elevation in ELEVATIONS_DEG)]
    places = [Site(place.latitude_deg, place.longitude_deg, place.altitude_m) for place in sites().values()]
    rows = [[*map("{:g}".format, place), *map("{:.2f}".format, loss_db(place))] for place in places]
    FILE.write_text("".join(",".join(row) + "\n" for row in [header, *rows]), encoding="utf-8")
