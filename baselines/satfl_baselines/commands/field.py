"""`satfl field`: the systems of the field side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satfl_baselines.commands.policy_names import complete_names, own_policies, split_names
from satfl_env.commands import (
    PNG,
    Overrides,
    PictureFormats,
    Workers,
    keeps_what_is_finished,
    output_console,
    parse_formats,
    parse_overrides,
    say,
)


def complete_systems(incomplete: str) -> list[str]:
    """Lists of systems, separated by commas, that begin with the given text."""
    from satfl_baselines.field.system import system_names

    return complete_names(incomplete, system_names())


def field(
    context: typer.Context,
    systems: Annotated[
        str,
        typer.Option(help="Systems, separated by commas; all if not given.", autocompletion=complete_systems),
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds that every system plays: 0, 1, ...")] = 10,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds to play; the scenario's if not given.")] = None,
    overrides: Overrides = None,
    workers: Workers = 1,
    picture_formats: PictureFormats = PNG,
    out: Annotated[Path, typer.Option(help="Result folder; the same command resumes an interrupted one.")] = Path(
        "results/field"
    ),
) -> None:
    """Play systems of satellite federated learning on one scene: a table with 95 % intervals, CSV and a picture."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.commands.run_record import recorded
    from satfl_baselines.field.command import write
    from satfl_baselines.field.playing import play
    from satfl_baselines.field.system import load_systems

    keeps_what_is_finished()
    formats, changes = parse_formats(picture_formats), parse_overrides(overrides)
    if rounds is not None:
        changes["rounds.episode"] = rounds
    chosen = load_systems(split_names(systems))
    own = own_policies(dict.fromkeys(system.policy for system in chosen))
    with recorded(context, out, range(seeds), own=own) as record:
        with record.progress("episodes") as progress:
            played = play(chosen, changes, range(seeds), out, own=own, workers=workers, progress=progress)
        console = output_console()
        console.print(write(played, {system.name: system.against for system in chosen}, out, formats))
        say(console, f"Tables, curves and runs are in {out}")
