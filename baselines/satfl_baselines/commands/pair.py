"""`satfl pair`: two result folders of `satfl compare` seed by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satfl_env.commands import output_console, say

MOST_TOLD = 8


def pair(
    first: Annotated[Path, typer.Argument(help="Result folder of `satfl compare`.")],
    second: Annotated[Path, typer.Argument(help="Another one, of a changed scenario.")],
) -> None:
    """Compare the same policies on two scenarios or variants of one, seed by seed."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.identity import differences
    from satfl_baselines.paired import changes
    from satfl_baselines.results import finished
    from satfl_baselines.tables import changes_table

    one, other = finished(first), finished(second)
    found = changes(one.episodes, other.episodes)
    console = output_console()
    told = differences(one.record, other.record)
    for name, before, after in told[:MOST_TOLD]:
        say(console, f"{name}: {before} in {first}, {after} in {second}")
    if len(told) > MOST_TOLD:
        say(console, f"and {len(told) - MOST_TOLD} more")
    console.print(changes_table(found))
