"""Command line: `python -m satfl_agents train`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from satfl_agents.results import Record, References, RunFolder
from satfl_baselines.command_line import Overrides, one_line_errors, parse_overrides
from satfl_env.scenarios import Scenario, load

app = typer.Typer(help="Train schedulers with Stable-Baselines3.", no_args_is_help=True)

NUM_TEST_EPISODES = 5
# Policies of the baselines that play the same episodes: a simple rule, and no rule at all.
REFERENCES = ("nearest-fedavg", "random")


@app.callback()
def main() -> None:
    """Train schedulers with Stable-Baselines3."""


@app.command("train")
def train_scheduler(
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    algo: Annotated[str, typer.Option(help="ppo (continuous actions) or maskable-ppo (discrete, masked).")] = "ppo",
    scenario: Annotated[str, typer.Option(help="Name of a built-in scenario, or a YAML file.")] = "leo-multitask",
    steps: Annotated[int, typer.Option(min=1, help="Rounds to train on, rounded up to whole updates of 200.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of episodes and learner.")] = 0,
    overrides: Overrides = None,
) -> None:
    """Train a scheduler, then test it on episodes it has not seen."""
    errors = Console(stderr=True)
    with one_line_errors(errors):
        config = load(scenario, **parse_overrides(overrides or []))
        evaluation, references = _train(out, config, algo, steps, seed, errors)
    console = Console()
    title = f"{algo} on {config.name}, {len(evaluation)} held-out episodes, beside means of reference policies"
    console.print(title, highlight=False, soft_wrap=True)
    console.print(_table(evaluation, references))
    console.print(f"Policy, learning curve and evaluation are in {out}", highlight=False, soft_wrap=True)


def _train(
    out: Path, config: Scenario, algo: str, steps: int, seed: int, errors: Console
) -> tuple[list[Record], References]:
    """Train and keep the results, unless they are there already; returns the evaluation and its references."""
    # Stable-Baselines3 is an optional dependency, and takes seconds to import.
    from satfl_agents.train import FIRST_HELD_OUT_SEED, check_algorithm, evaluate, evaluate_policy, train

    check_algorithm(algo)
    folder = RunFolder(out, config, algo=algo, steps=steps, seed=seed)
    if folder.evaluation is not None:
        errors.print("this run is complete already")
        return folder.evaluation, folder.references
    columns = (TextColumn("rounds"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as bar:
        task = bar.add_task("rounds", total=steps)
        scheduler, curve = train(
            config, algo, steps=steps, seed=seed, progress=lambda step: bar.update(task, completed=min(step, steps))
        )
    held_out = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + NUM_TEST_EPISODES)
    evaluation = evaluate(scheduler, config, algo, held_out)
    references = {name: evaluate_policy(name, config, held_out) for name in REFERENCES}
    policy = io.BytesIO()
    scheduler.save(policy)
    folder.save(policy.getvalue(), curve, evaluation, references)
    return evaluation, references


def _table(evaluation: list[Record], references: References) -> Table:
    table = Table("", "mean", "lowest", "highest", *references)
    for name in evaluation[0]:
        if name == "seed":
            continue
        values = _column(evaluation, name)
        others = (_column(records, name).mean() for records in references.values())
        cells = (values.mean(), values.min(), values.max(), *others)
        table.add_row(name.replace("_", " "), *(f"{value:.3f}" for value in cells))
    return table


def _column(records: list[Record], name: str) -> NDArray[np.float64]:
    return np.array([record[name] for record in records])


if __name__ == "__main__":
    app()
