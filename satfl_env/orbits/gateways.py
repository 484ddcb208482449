"""Gateways: places on the globe, or on a platform above it, that see a satellite once it is high enough."""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Annotated, Literal

import numpy as np
import pydantic.dataclasses
from pydantic import Field, model_validator

from satfl_env.orbits.earth import EQUATORIAL_RADIUS_M
from satfl_env.settings import STRICT, Finite
from satfl_env.suggestions import did_you_mean

DEFAULT_MIN_ELEVATION_DEG = 10.0


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class Gateway:
    r"""A place on the globe (WGS 84), or a platform that stays above one, as in the stratosphere at 20 km.

    The horizon of a gateway at a height h lies below the horizontal, at the elevation

    $$-\arccos \frac{R}{R + h}$$

    with the equatorial radius R: -4.53 degrees at 20 km. So low, but no lower, may its minimum elevation be.

    Attributes:
        name: Its name.
        latitude_deg: Geodetic latitude in [-90, 90].
        longitude_deg: Longitude, east positive, in [-180, 360].
        altitude_m: Height above the ellipsoid in [-500, 50,000], up to the top of the stratosphere.
        min_elevation_deg: Elevation above which it sees a satellite, below 90; 0 is the horizontal.

    Raises:
        ValueError: If a value is out of its range.
    """

    name: Annotated[str, Field(min_length=1)]
    latitude_deg: Annotated[Finite, Field(ge=-90, le=90)]
    longitude_deg: Annotated[Finite, Field(ge=-180, le=360)]
    altitude_m: Annotated[Finite, Field(ge=-500, le=50_000)] = 0.0
    min_elevation_deg: Annotated[Finite, Field(lt=90)] = DEFAULT_MIN_ELEVATION_DEG
    kind: Literal["ground"] = "ground"

    @property
    def horizon_deg(self) -> float:
        """Elevation of the horizon, 0 or below; that of the ellipsoid's equator, a little above any other."""
        height_m = max(self.altitude_m, 0.0)
        return 0.0 - float(np.degrees(np.arccos(EQUATORIAL_RADIUS_M / (EQUATORIAL_RADIUS_M + height_m))))

    @model_validator(mode="after")
    def _sees_no_ground(self) -> Gateway:
        if self.min_elevation_deg < self.horizon_deg:
            raise ValueError(
                f"min_elevation_deg must be at least {self.horizon_deg:.6g}, the horizon from {self.altitude_m:g} m, "
                f"got {self.min_elevation_deg:g}"
            )
        return self


@cache
def sites() -> dict[str, Gateway]:
    """Real ground-station sites by name, with a minimum elevation of 10 degrees.

    The coordinates are rounded to 0.01 degrees and 10 m: good for simulation, not for surveying.
    """
    text = resources.files("satfl_env.orbits").joinpath("sites.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        row["name"]: Gateway(
            row["name"], float(row["latitude_deg"]), float(row["longitude_deg"]), float(row["altitude_m"])
        )
        for row in rows
    }


def site(name: str, *, min_elevation_deg: float = DEFAULT_MIN_ELEVATION_DEG) -> Gateway:
    """One of `sites()`, upper or lower case, with its own minimum elevation.

    Raises:
        ValueError: If there is no such site; the message names the nearest ones.
    """
    known = {key.lower(): value for key, value in sites().items()}
    found = known.get(name.lower())
    if found is None:
        hint = did_you_mean(name, sites()) or f"; known: {', '.join(sites())}"
        raise ValueError(f"there is no site {name!r}{hint}")
    return replace(found, min_elevation_deg=min_elevation_deg)
