"""Satellite passes and ground-station sites as tables for the terminal."""

from __future__ import annotations

import numpy as np
from rich import box
from rich.table import Table

from satfl_env.orbits import ContactWindows, Sgp4Orbits, sites, times_after
from satfl_env.orbits.frames import utc_text
from satfl_env.printable import printable


def pass_table(orbits: Sgp4Orbits, windows: ContactWindows, title: str) -> Table:
    """All passes, one per row, in order of time."""
    table = Table(
        "satellite",
        "rise (UTC)",
        "highest",
        "elevation",
        "set",
        "min:s",
        title=title,
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for column in table.columns:
        column.no_wrap = True
    for row in np.argsort(windows.rise_s, kind="stable"):
        times = times_after(orbits.epoch, np.array([windows.rise_s[row], windows.peak_s[row], windows.set_s[row]]))
        rise, peak, fall = (utc_text(time)[5:].replace("T", " ") for time in times)
        minutes, seconds = divmod(round(windows.duration_s[row]), 60)
        table.add_row(
            printable(orbits.names[windows.satellite[row]]),
            rise,
            peak[6:],
            f"{windows.peak_elevation_deg[row]:.1f}°",
            fall[6:],
            f"{minutes}:{seconds:02d}",
        )
    return table


def site_table() -> Table:
    """The shipped ground-station sites."""
    table = Table("site", "latitude", "longitude", "altitude (m)", box=box.SIMPLE)
    for gateway in sites().values():
        place = f"{gateway.latitude_deg:.2f}", f"{gateway.longitude_deg:.2f}", f"{gateway.altitude_m:.0f}"
        table.add_row(gateway.name, *place)
    return table
