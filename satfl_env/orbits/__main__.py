"""Tables of passes for people who want only that: `python -m satfl_env.orbits passes --help`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from satfl_env.orbits.contacts import ContactWindows, contact_windows
from satfl_env.orbits.elements import Sgp4Orbits, load_elements, samples
from satfl_env.orbits.frames import times_after, utc_text
from satfl_env.orbits.gateways import DEFAULT_MIN_ELEVATION_DEG, site, sites

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Satellite passes over ground stations.")


@app.command()
def passes(
    tle: Annotated[
        Path, typer.Option(help="Orbital elements: a TLE file, an OMM file (.csv, .json, .xml) or a shipped sample.")
    ],
    site_name: Annotated[str, typer.Option("--site", help="Name of a shipped site; `sites` lists them.")],
    hours: Annotated[float, typer.Option(min=0.01, max=720.0, help="Length of the span.")] = 24.0,
    start: Annotated[str | None, typer.Option(help="Start in UTC, ISO 8601; the elements' epoch if left out.")] = None,
    min_elevation: Annotated[
        float, typer.Option(min=0.0, max=89.0, help="Lowest elevation in degrees.")
    ] = DEFAULT_MIN_ELEVATION_DEG,
) -> None:
    """All passes of the satellites of a file over a site, in order of time."""
    try:
        orbits = load_elements(samples().get(str(tle), tle), start)
        gateway = site(site_name, min_elevation_deg=min_elevation)
        windows = contact_windows(orbits, [gateway], 0.0, hours * 3600.0)
    except (ValueError, FileNotFoundError) as error:
        errors = Console(stderr=True)
        errors.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
    title = f"{gateway.name}, {hours:g} h from {utc_text(orbits.epoch)} UTC, above {min_elevation:g} degrees"
    Console().print(_pass_table(orbits, windows, title))


@app.command("sites")
def list_sites() -> None:
    """The shipped ground-station sites."""
    table = Table("site", "latitude", "longitude", "altitude (m)", box=box.SIMPLE)
    for gateway in sites().values():
        place = f"{gateway.latitude_deg:.2f}", f"{gateway.longitude_deg:.2f}", f"{gateway.altitude_m:.0f}"
        table.add_row(gateway.name, *place)
    Console().print(table)


def _pass_table(orbits: Sgp4Orbits, windows: ContactWindows, title: str) -> Table:
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
            orbits.names[windows.satellite[row]],
            rise,
            peak[6:],
            f"{windows.peak_elevation_deg[row]:.1f}°",
            fall[6:],
            f"{minutes}:{seconds:02d}",
        )
    return table


if __name__ == "__main__":
    app(prog_name="python -m satfl_env.orbits")
