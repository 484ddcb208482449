"""Satellite passes and ground-station sites as tables for the terminal."""

from __future__ import annotations

import numpy as np
from rich import box
from rich.table import Table

from satfl_env.orbits import ContactWindows, Sgp4Orbits, sites, times_after
from satfl_env.orbits.frames import utc_text
from satfl_env.printable import printable


def pass_table(orbits: Sgp4Orbits, windows: ContactWindows, title: str) -> Table:
    """All passes, one per row, in order of time; `<` and `>` mark what lies before or after the span."""
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
        risen, highest, fallen = windows.rise_s[row], windows.peak_s[row], windows.set_s[row]
        times = times_after(orbits.epoch, np.array([risen, highest, fallen]))
        rise, peak, fall = (utc_text(time)[5:].replace("T", " ") for time in times)
        minutes, seconds = divmod(round(fallen - risen), 60)
        begun, goes_on = risen <= windows.start_s, fallen >= windows.end_s
        earlier, later = highest <= windows.start_s, highest >= windows.end_s
        table.add_row(
            printable(orbits.names[windows.satellite[row]]),
            _marked("<", begun, rise),
            _marked("<", earlier, _marked(">", later, peak[6:])),
            _marked(">", earlier or later, f"{windows.peak_elevation_deg[row]:.1f}°"),
            _marked(">", goes_on, fall[6:]),
            _marked(">", begun or goes_on, f"{minutes}:{seconds:02d}"),
        )
        if begun or goes_on:
            table.caption = "< before, > after or more: the span cuts this pass"
    return table


def _marked(mark: str, applies: bool, text: str) -> str:
    return f"{mark} {text}" if applies else text


def site_table() -> Table:
    """The shipped ground-station sites."""
    table = Table("site", "latitude", "longitude", "altitude (m)", box=box.SIMPLE)
    for gateway in sites().values():
        place = f"{gateway.latitude_deg:.2f}", f"{gateway.longitude_deg:.2f}", f"{gateway.altitude_m:.0f}"
        table.add_row(gateway.name, *place)
    return table
