"""Command line: `python -m satfl_baselines list`, `compare` and `reproduce`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from satfl_baselines import reproduce, study
from satfl_baselines.command_line import Overrides, one_line_errors, parse_overrides
from satfl_baselines.compare import compare
from satfl_baselines.policies import make_policy, policy_names
from satfl_baselines.reproduce import Figure
from satfl_baselines.results import ResultFolder
from satfl_baselines.semspacefl import command as semspacefl
from satfl_baselines.tables import accuracy_table, claims_table, comparison_table, gains_table
from satfl_env.scenarios import Scenario, load

app = typer.Typer(help="The papers' scheduling policies, and how well they do.", no_args_is_help=True)

DEFAULT_SCENARIO = "leo-multitask"
DEFAULT_SEEDS = 10
Workers = Annotated[int, typer.Option(min=1, help="Processes to play in.")]


class Paper(StrEnum):
    """The papers whose tables and figures can be reproduced."""

    TASK_CLUSTERING = "task-clustering"
    SEMSPACEFL = "semspacefl"


class Size(StrEnum):
    """Sizes of SemSpaceFL's images and model."""

    TINY = "tiny"
    PAPER = "paper"


CONTENTS: Mapping[Paper, Sequence[str]] = {
    Paper.TASK_CLUSTERING: [figure.value for figure in Figure],
    Paper.SEMSPACEFL: semspacefl.NAMES,
}


@app.command("list")
def list_policies() -> None:
    """List the policies."""
    table = Table("policy", "what it does", box=None)
    for name in policy_names():
        table.add_row(name, make_policy(name).description)
    _output_console().print(table)


@app.command("compare")
def compare_policies(
    out: Annotated[Path, typer.Option(help="Result folder; the same command goes on with an interrupted one.")],
    scenario: Annotated[str, typer.Option(help="Name of a built-in scenario, or a YAML file.")] = DEFAULT_SCENARIO,
    policies: Annotated[str, typer.Option(help="Policies, separated by commas; all if not given.")] = "",
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds to play; the scenario's if not given.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds every policy plays: 0, 1, ...")] = 5,
    overrides: Overrides = None,
    workers: Workers = 1,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the summary as JSON; - prints nothing else.")
    ] = None,
) -> None:
    """Compare policies on a scenario: mean and 95 % interval over seeds, curves, CSV and JSON."""
    errors = Console(stderr=True)
    with one_line_errors(errors):
        changes = parse_overrides(overrides or [])
        if rounds is not None:
            changes["rounds.episode"] = rounds
        config = load(scenario, **changes)
        names = _parse_policies(policies)
        folder = ResultFolder(out, config, names, range(seeds))
        with _progress_bar(errors) as progress:
            comparison = compare(config, names, range(seeds), folder, workers=workers, progress=progress)
        summary = json.dumps(folder.summarise(comparison), indent=1)
        if json_path == "-":
            print(summary)
            return
        if json_path is not None:
            Path(json_path).write_text(summary + "\n", encoding="utf-8")
    console = _output_console()
    console.print(comparison_table(comparison, f"{config.name}, {comparison.rounds} rounds, seeds: {seeds}"))
    console.print(f"Tables, curves and runs are in {out}", highlight=False, soft_wrap=True)


@app.command("reproduce")
def reproduce_figures(
    figures: Annotated[
        list[str],
        typer.Argument(
            help="Of task-clustering: fig2 (accuracy of each task), fig3 (on average), gains (over the regime). "
            "Of semspacefl: table2 to table5, fig3 to fig7."
        ),
    ],
    paper: Annotated[
        Paper | None, typer.Option(help="Whose; if not given, the first that has all of the names.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds every policy plays: 0, 1, ...; 10, for semspacefl 5.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with data sets; that of SATFL_DATA if not given.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Result folder, results/<paper> if not given; an interrupted command goes on.")
    ] = None,
    size: Annotated[Size, typer.Option(help="Size of SemSpaceFL's images and model.")] = Size.TINY,
    quick: Annotated[bool, typer.Option("--quick", help="SemSpaceFL in a short form.")] = False,
    overrides: Overrides = None,
    workers: Workers = 1,
) -> None:
    """Reproduce tables and figures of a paper: pictures, CSV, and tables beside the paper's numbers and claims."""
    errors, console = Console(stderr=True), _output_console()
    with one_line_errors(errors):
        paper = _paper_of(figures, paper)
        out = Path("results") / paper if out is None else out
        changes = parse_overrides(overrides or []) | ({} if data is None else {"data.data_dir": str(data)})
        if paper == Paper.SEMSPACEFL:
            for table in semspacefl.reproduce(
                figures,
                changes,
                out,
                size=size,
                seeds=seeds,
                quick=quick,
                workers=workers,
                progress_bar=partial(_progress_bar, errors),
            ):
                console.print(table)
        else:
            _reproduce_task_clustering(figures, changes, seeds or DEFAULT_SEEDS, out, workers, errors, console)
    console.print(f"Tables, curves and runs are in {out}", highlight=False, soft_wrap=True)


def _paper_of(figures: Sequence[str], paper: Paper | None) -> Paper:
    """The paper that is asked for, or the first that has all of some tables and figures."""
    for candidate in Paper if paper is None else [paper]:
        if set(figures) <= set(CONTENTS[candidate]):
            return candidate
    there = "; ".join(f"{name.value} has {', '.join(contents)}" for name, contents in CONTENTS.items())
    raise ValueError(f"no paper has all of {', '.join(figures)}: {there}")


def _reproduce_task_clustering(
    figures: Sequence[str],
    changes: Mapping[str, Any],
    seeds: int,
    out: Path,
    workers: int,
    errors: Console,
    console: Console,
) -> None:
    make_scenario = partial(_task_clustering, changes)
    curves = [figure for figure in (Figure.FIG2, Figure.FIG3) if figure in figures]
    if curves:
        with _progress_bar(errors) as progress:
            comparison = reproduce.play(make_scenario({}), range(seeds), out, workers=workers, progress=progress)
        reproduce.write(comparison, curves, out)
        console.print(accuracy_table(comparison), claims_table(reproduce.claims(comparison)))
    if Figure.GAINS in figures:
        with _progress_bar(errors) as progress:
            points = study.play(make_scenario, range(seeds), out, workers=workers, progress=progress)
        console.print(gains_table(study.write(points, out)))


def _task_clustering(changes: Mapping[str, Any], fields: Mapping[str, Any]) -> Scenario:
    """The paper's scenario with what the user asks for and, on top, what a study changes."""
    return load(reproduce.SCENARIO, **{**changes, **fields})


def _output_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for any table where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


@contextmanager
def _progress_bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("episodes"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("episodes")
        yield lambda finished, total: bar.update(task, completed=finished, total=total)


def _parse_policies(text: str) -> tuple[str, ...]:
    """Distinct policy names of a comma-separated list, all if it is empty."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        make_policy(name)
    return names or policy_names()


if __name__ == "__main__":
    app()
