"""Command line: `python -m baselines list`, `compare` and `reproduce`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from baselines import reproduce, study
from baselines.compare import compare
from baselines.policies import make_policy, policy_names
from baselines.results import ResultFolder, curve_rows, write_csv, write_png
from baselines.tables import accuracy_table, claims_table, comparison_table, gains_table
from satfl_env.scenarios import load

app = typer.Typer(help="The papers' scheduling policies, and how well they do.", no_args_is_help=True)

DEFAULT_SCENARIO = "leo-multitask"
DEFAULT_OUT = Path("results/task-clustering")
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a scenario value; may be repeated.")
]
Workers = Annotated[int, typer.Option(min=1, help="Processes to play in.")]


class Figure(StrEnum):
    """What can be reproduced of the task clustering paper."""

    FIG2 = "fig2"
    FIG3 = "fig3"
    GAINS = "gains"


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
    with _one_line_errors(errors):
        changes = _parse_overrides(overrides or [])
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
    console.print(comparison_table(comparison, f"{config.name}, {config.rounds.episode} rounds, seeds: {seeds}"))
    console.print(f"Tables, curves and runs are in {out}", highlight=False, soft_wrap=True)


@app.command("reproduce")
def reproduce_figures(
    figures: Annotated[
        list[Figure],
        typer.Argument(
            help="fig2: accuracy of each task; fig3: on average; gains: how the gains move with the regime."
        ),
    ],
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds every policy plays: 0, 1, ...")] = 10,
    data: Annotated[Path | None, typer.Option(help="Folder with MNIST; that of SATFL_DATA if not given.")] = None,
    out: Annotated[Path, typer.Option(help="Result folder; an interrupted command goes on.")] = DEFAULT_OUT,
    overrides: Overrides = None,
    workers: Workers = 1,
) -> None:
    """Reproduce figures of the task clustering paper: pictures, CSV, and tables beside the paper's claims."""
    errors, console = Console(stderr=True), _output_console()
    with _one_line_errors(errors):
        changes = _parse_overrides(overrides or []) | ({} if data is None else {"data.data_dir": str(data)})
        chosen = [figure for figure in Figure if figure in figures and figure != Figure.GAINS]
        if chosen:
            _reproduce_curves(chosen, range(seeds), changes, out, workers, errors, console)
        if Figure.GAINS in figures:
            _reproduce_gains(range(seeds), changes, out, workers, errors, console)
    console.print(f"Tables, curves and runs are in {out}", highlight=False, soft_wrap=True)


def _reproduce_curves(
    figures: Sequence[Figure],
    seeds: range,
    changes: dict[str, Any],
    out: Path,
    workers: int,
    errors: Console,
    console: Console,
) -> None:
    config = load(reproduce.SCENARIO, **changes)
    folder = ResultFolder(out / study.BASE, config, reproduce.POLICIES, seeds)
    with _progress_bar(errors) as progress:
        comparison = compare(config, reproduce.POLICIES, seeds, folder, workers=workers, progress=progress)
    folder.summarise(comparison)
    # Matplotlib takes a while to import, and most commands never draw.
    from baselines.plot import draw_curves

    title = f"{config.name}, seeds: {len(seeds)}"
    *of_tasks, average = reproduce.quantities(comparison).values()
    for figure in figures:
        shown = of_tasks if figure == Figure.FIG2 else [average]
        write_csv(out / f"{figure}.csv", curve_rows(comparison, shown))
        write_png(out / f"{figure}.png", draw_curves(comparison, title, shown))
    differences, claims = reproduce.difference_rows(comparison), reproduce.claims(comparison)
    write_csv(out / "differences.csv", differences)
    write_csv(out / "claims.csv", [asdict(claim) for claim in claims])
    write_csv(out / "clusters.csv", reproduce.cluster_rows(comparison))
    console.print(accuracy_table(comparison, differences, title))
    console.print(claims_table(claims, "The paper's claims"))


def _reproduce_gains(
    seeds: range, changes: dict[str, Any], out: Path, workers: int, errors: Console, console: Console
) -> None:
    with _progress_bar(errors) as progress:
        points = study.play_study(
            lambda fields: load(reproduce.SCENARIO, **{**changes, **fields}),
            seeds,
            out,
            workers=workers,
            progress=progress,
        )
    from baselines.plot import draw_gains

    rows, title = study.gain_rows(points), f"Average gain of clustering, seeds: {len(seeds)}"
    write_csv(out / "gains.csv", rows)
    write_png(out / "gains.png", draw_gains(rows, title))
    console.print(gains_table(rows, title))


def _output_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for any table where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


@contextmanager
def _one_line_errors(console: Console) -> Iterator[None]:
    """Bad input ends with one line and exit code 2, without a traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        message = " ".join(str(error).split())
        console.print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error


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


def _parse_overrides(items: list[str]) -> dict[str, Any]:
    """Overrides from KEY=VALUE items; values are read as YAML."""
    overrides: dict[str, Any] = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not separator or not key:
            raise ValueError(f"--set takes KEY=VALUE, for instance training.batch_size=16, got {item!r}")
        try:
            overrides[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"--set {key} has a value that is not valid YAML: {value!r}") from error
    return overrides


if __name__ == "__main__":
    app()
