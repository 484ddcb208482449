"""`satfl leaderboard`: the page of everybody's results on a suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satfl_baselines.commands.evaluate import complete_suite
from satfl_env.commands import output_console, say


def leaderboard(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for leaderboard.md and leaderboard.csv, .json.")],
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Result folders of `satfl evaluate --suite`, or their finals.json; none for references only."
        ),
    ] = None,
    suite: Annotated[
        str, typer.Option(help="Name of the suite, or its YAML file.", autocompletion=complete_suite)
    ] = "v1",
) -> None:
    """Make the leaderboard of a suite from results, beside the recorded ones of the reference policies."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.commands.run_record import recorded
    from satfl_baselines.suites.leaderboard import gathered, write_leaderboard
    from satfl_baselines.suites.suite import load_suite

    chosen = load_suite(suite)
    with recorded(context, out, chosen.held_out):
        write_leaderboard(out, chosen, gathered(chosen, results or []))
        say(output_console(), f"leaderboard.md and leaderboard.csv are in {out}")
