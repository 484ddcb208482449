"""`satfl pair`: two result folders of `satfl compare` seed by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satfl_env.commands import output_console, say, say_warning

MOST_TOLD = 8


def pair(
    first: Annotated[Path, typer.Argument(help="Result folder of `satfl compare`.")],
    second: Annotated[Path, typer.Argument(help="Another one, of a changed scenario.")],
    every: Annotated[bool, typer.Option("--all", help="Name all settings that differ, however many they are.")] = False,
) -> None:
    """Compare the same policies on two scenarios or variants of one, seed by seed."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.identity import differences, first_of
    from satfl_baselines.paired import alone, changes
    from satfl_baselines.results import finished
    from satfl_baselines.tables import changes_table

    one, other = finished(first), finished(second)
    found = changes(one.episodes, other.episodes)
    console = output_console()
    told = differences(one.record, other.record)
    lines = [f"{name}: {before} in {first}, {after} in {second}" for name, before, after in told]
    for line in lines if every else first_of(lines, MOST_TOLD, "; --all names them"):
        say(console, line)
    console.print(changes_table(found))
    for folder, only in ((first, alone(one.episodes, other.episodes)), (second, alone(other.episodes, one.episodes))):
        if only:
            say(console, f"seeds in {folder} alone: {', '.join(f'{policy} {seeds}' for policy, seeds in only.items())}")
    rounds = [folder.record["rounds"] for folder in (one, other)]
    if rounds[0] != rounds[1]:
        say_warning(f"ends of episodes of {rounds[0]} rounds are compared with ends of episodes of {rounds[1]}")
