"""`satfl pair`: two result folders of `satfl compare` seed by seed."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from satfl_env.commands import output_console, say, say_warning
from satfl_env.counted import counted

MOST_TOLD = 8


def pair(
    context: typer.Context,
    first: Annotated[Path, typer.Argument(help="Result folder of `satfl compare`.")],
    second: Annotated[Path, typer.Argument(help="Another one, of a changed scenario.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the table as CSV and JSON.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Name all settings that differ, however many they are.")] = False,
) -> None:
    """Compare the same policies on two scenarios or variants of one, seed by seed."""
    from satfl_baselines.commands.run_record import recorded

    with nullcontext() if out is None else recorded(context, out):
        _pair(first, second, out, every)


def _pair(first: Path, second: Path, out: Path | None, every: bool) -> None:
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.files import one_writer, write_table
    from satfl_baselines.identity import differences, first_of
    from satfl_baselines.paired import alone, changes
    from satfl_baselines.results import finished
    from satfl_baselines.statistics import columns
    from satfl_baselines.tables import changes_table

    one, other = finished(first), finished(second)
    found = changes(one.episodes, other.episodes)
    console = output_console()
    differing = differences(one.record, other.record)
    lines = [f"{name}: {before} in {first}, {after} in {second}" for name, before, after in differing]
    for line in lines if every else first_of(lines, MOST_TOLD, "; --all names them"):
        say(console, line)
    console.print(changes_table(found))
    for folder, only in ((first, alone(one.episodes, other.episodes)), (second, alone(other.episodes, one.episodes))):
        if only:
            told = ", ".join(f"{seeds} of {policy}" for policy, seeds in only.items())
            say(console, f"seeds in {folder} alone: {told}")
    rounds = [folder.record["rounds"] for folder in (one, other)]
    if rounds[0] != rounds[1]:
        say_warning(
            f"ends of episodes of {counted(rounds[0], 'round')} are compared with ends of episodes of {rounds[1]}"
        )
    if out is not None:
        with one_writer(out):
            write_table(out / "pairs.csv", [columns(change._asdict()) for change in found])
        say(console, f"pairs.csv and pairs.json are in {out}")
