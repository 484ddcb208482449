"""`satfl passes` and `satfl sites`: passes over a ground station, and the shipped sites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satfl_env.commands.console import output_console, say


def passes(
    tle: Annotated[
        Path,
        typer.Option(help="Orbital elements: a TLE file, an OMM file (.csv, .json, .xml, .kvn) or a shipped sample."),
    ],
    site_name: Annotated[str, typer.Option("--site", help="Name of a shipped site; `satfl sites` lists them.")],
    hours: Annotated[float, typer.Option(min=0.01, max=720.0, help="Length of the span.")] = 24.0,
    start: Annotated[str | None, typer.Option(help="Start in UTC, ISO 8601; the elements' epoch if left out.")] = None,
    min_elevation: Annotated[
        float | None,
        typer.Option(min=0.0, max=89.0, help="Lowest elevation in degrees; a gateway's default if left out."),
    ] = None,
) -> None:
    """All passes of the satellites of a file over a site, in order of time."""
    # These take seconds to import, which --help need not wait for.
    from satfl_env.commands.pass_table import pass_table
    from satfl_env.orbits import contact_windows, load_elements, samples, site
    from satfl_env.orbits.frames import utc_text

    orbits = load_elements(samples().get(str(tle), tle), start)
    gateway = site(site_name, **({} if min_elevation is None else {"min_elevation_deg": min_elevation}))
    windows = contact_windows(orbits, [gateway], 0.0, hours * 3600.0)
    above = f"above {gateway.min_elevation_deg:g} degrees"
    span = f"{hours:g} h from {utc_text(orbits.epoch)} UTC"
    if not len(windows.satellite):
        say(output_console(), f"{gateway.name}: no pass {above} in {span}")
        return
    output_console().print(pass_table(orbits, windows, f"{gateway.name}, {span}, {above}"))


def sites() -> None:
    """List the shipped ground-station sites."""
    from satfl_env.commands.pass_table import site_table

    output_console().print(site_table())
