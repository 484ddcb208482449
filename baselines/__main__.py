"""Command line: `python -m baselines list` and `python -m baselines compare`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from baselines.compare import compare
from baselines.policies import make_policy, policy_names
from baselines.results import ResultFolder
from baselines.summary import Comparison, Estimate
from satfl_env.scenarios import load

app = typer.Typer(help="The papers' scheduling policies, and how well they do.", no_args_is_help=True)

DEFAULT_SCENARIO = "leo-multitask"


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
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a scenario value; may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes to play in.")] = 1,
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
    console.print(_table(comparison, f"{config.name}, {config.rounds.episode} rounds, seeds: {seeds}"))
    console.print(f"Tables, curves and runs are in {out}", highlight=False, soft_wrap=True)


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


def _table(comparison: Comparison, title: str) -> Table:
    """Mean and 95 % interval per policy; narrow terminals break between the two."""
    columns = [
        *(column for name in comparison.primary for column in _metric_columns(name)),
        *((_heading(name), name, 1.0, 3) for name in comparison.metrics if name not in comparison.primary),
        ("loss", "test_loss", 1.0, 3),
        ("energy (kJ)", "energy_j", 1e-3, 2),
        ("time (h)", "time_s", 1 / 3600, 2),
        ("lost", "lost", 1.0, 1),
    ]
    title = f"{title} (mean ± 95 % interval)"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("policy", no_wrap=True)
    for heading, *_ in columns:
        table.add_column(heading, justify="right")
    for policy in comparison.policies:
        estimates = comparison.estimates(policy)
        table.add_row(policy, *(_cell(estimates[name], scale, digits) for _, name, scale, digits in columns))
    return table


def _metric_columns(metric: str) -> list[tuple[str, str, float, int]]:
    """A metric and its difference to the first policy's."""
    return [(_heading(metric), metric, 1.0, 3), ("vs first", f"{metric}_difference", 1.0, 3)]


def _heading(metric: str) -> str:
    return metric.replace("_", " ").replace("accuracy", "acc.")


def _cell(estimate: Estimate, scale: float, digits: int) -> str:
    mean = f"{estimate.mean * scale:.{digits}f}"
    if not np.isfinite(estimate.half_width):
        return mean
    return f"{mean} ±{estimate.half_width * scale:.{digits}f}"


if __name__ == "__main__":
    app()
