"""`satfl reproduce`: tables and figures of the papers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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

if TYPE_CHECKING:
    from rich.table import Table

    from satfl_baselines.semspacefl.command import ProgressBar
    from satfl_env.scenarios import Scenario

DEFAULT_SEEDS = 10


class Paper(StrEnum):
    """The papers whose tables and figures can be reproduced."""

    TASK_CLUSTERING = "task-clustering"
    SEMSPACEFL = "semspacefl"


class Size(StrEnum):
    """Sizes of SemSpaceFL's images and model."""

    TINY = "tiny"
    PAPER = "paper"


def reproduce(
    context: typer.Context,
    figures: Annotated[
        list[str],
        typer.Argument(
            help="Of task-clustering: fig2 (accuracy of each task), fig3 (on average), gains (over the regime). "
            "Of semspacefl: table2 to table5, fig3 to fig7."
        ),
    ],
    paper: Annotated[
        Paper | None, typer.Option(help="The paper; if not given, the first that has all of the names.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Number of seeds for every policy; by default 10, for semspacefl 5.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with data sets; SATFL_DATA if not given.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Result folder, results/<paper> if not given; resumes an interrupted run.")
    ] = None,
    size: Annotated[Size, typer.Option(help="Size of SemSpaceFL's images and model.")] = Size.TINY,
    quick: Annotated[bool, typer.Option("--quick", help="A short version of SemSpaceFL.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds to play; the scenario's if not given.")] = None,
    overrides: Overrides = None,
    workers: Workers = 1,
    picture_formats: PictureFormats = PNG,
) -> None:
    """Reproduce tables and figures of a paper: pictures, CSV, and tables beside the paper's numbers and claims."""
    # It takes seconds to import, which --help need not wait for.
    from satfl_baselines.commands.run_record import recorded
    from satfl_baselines.semspacefl import command as semspacefl

    keeps_what_is_finished()
    formats, console = parse_formats(picture_formats), output_console()
    paper = paper_of(figures, paper)
    out = Path("results") / paper if out is None else out
    changes = parse_overrides(overrides) | ({} if data is None else {"data.data_dir": str(data)})
    if rounds is not None:
        changes["rounds.episode"] = rounds
    number = seeds or (semspacefl.default_seeds(quick) if paper == Paper.SEMSPACEFL else DEFAULT_SEEDS)
    with recorded(context, out, range(number)) as record:
        how: dict[str, Any] = {
            "seeds": number,
            "workers": workers,
            "formats": formats,
            "progress_bar": partial(record.progress, "episodes"),
        }
        if paper == Paper.SEMSPACEFL:
            tables = semspacefl.reproduce(figures, changes, out, size=size, quick=quick, **how)
        else:
            tables = _reproduce_task_clustering(figures, changes, out, **how)
        for table in tables:
            console.print(table)
        say(console, f"Tables, curves and runs are in {out}")


def contents() -> Mapping[Paper, Sequence[str]]:
    """Names of the tables and figures of each paper."""
    from satfl_baselines.reproduce import Figure
    from satfl_baselines.semspacefl.command import NAMES

    return {
        Paper.TASK_CLUSTERING: [figure.value for figure in Figure],
        Paper.SEMSPACEFL: NAMES,
    }


def paper_of(figures: Sequence[str], paper: Paper | None) -> Paper:
    """The paper asked for, or the first that has all of the tables and figures.

    Raises:
        ValueError: If there is none.
    """
    known = contents()
    for candidate in Paper if paper is None else [paper]:
        if set(figures) <= set(known[candidate]):
            return candidate
    there = "; ".join(f"{name.value} has {', '.join(own)}" for name, own in known.items())
    raise ValueError(f"no paper has all of {', '.join(figures)}: {there}")


def _reproduce_task_clustering(
    figures: Sequence[str],
    changes: Mapping[str, Any],
    out: Path,
    *,
    seeds: int,
    workers: int,
    formats: Sequence[str],
    progress_bar: ProgressBar,
) -> Iterator[Table]:
    """Play what is missing, write what is asked for, and give its tables."""
    from satfl_baselines import reproduce, study
    from satfl_baselines.tables import accuracy_table, claims_table, gains_table

    make_scenario = partial(_task_clustering, changes)
    curves = [figure for figure in (reproduce.Figure.FIG2, reproduce.Figure.FIG3) if figure in figures]
    if curves:
        with progress_bar() as progress:
            comparison = reproduce.play(make_scenario({}), range(seeds), out, workers=workers, progress=progress)
        reproduce.write(comparison, curves, out, formats)
        yield accuracy_table(comparison)
        yield claims_table(reproduce.claims(comparison))
    if reproduce.Figure.GAINS in figures:
        with progress_bar() as progress:
            points = study.play(make_scenario, range(seeds), out, workers=workers, progress=progress)
        yield gains_table(study.write(points, out, formats))


def _task_clustering(changes: Mapping[str, Any], fields: Mapping[str, Any]) -> Scenario:
    """The paper's scenario with the user's changes and, on top of them, those of a study."""
    from satfl_baselines.reproduce import SCENARIO
    from satfl_env.scenarios import load

    return load(SCENARIO, **{**changes, **fields})
