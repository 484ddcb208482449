"""`satfl tune`: hyperparameters of an algorithm for a scenario, searched with Optuna."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satfl_agents.commands.training import Algo, Hyper
from satfl_env.commands import (
    DEFAULT_SCENARIO,
    Overrides,
    ScenarioName,
    Workers,
    error_console,
    keeps_what_is_finished,
    output_console,
    parse_overrides,
    say,
)


def tune(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the study; the same command resumes an interrupted one.")],
    algo: Algo = "ppo",
    scenario: ScenarioName = DEFAULT_SCENARIO,
    trials: Annotated[int, typer.Option(min=1, help="Trials to finish, each a short run.")] = 50,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each trial.")] = 10000,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the search and of its learners.")] = 0,
    hyper: Hyper = None,
    overrides: Overrides = None,
    workers: Workers = 1,
) -> None:
    """Search hyperparameters; the best ones are written as the section of a file of the package."""
    # It takes seconds to import, which --help need not wait for.
    from satfl_agents import Assignment, load_hyperparameters
    from satfl_agents.training.tuning import BEST, tune
    from satfl_baselines.commands.run_record import recorded
    from satfl_env.scenarios import load

    keeps_what_is_finished()
    config = load(scenario, **parse_overrides(overrides))
    settings = load_hyperparameters(algo, config.name, parse_overrides(hyper, "--hyper") | {"rounds": rounds})
    errors = error_console()
    with recorded(context, out, (seed,)) as record:
        with record.progress("trials") as progress:
            best = tune(
                Assignment(config, algo, settings, seed, workers=workers),
                out,
                trials,
                progress=progress,
                tell=lambda line: say(errors, line),
            )
        console = output_console()
        for name, value in best.items():
            say(console, f"{name}: {value}")
        say(console, f"These are in {out / BEST}, as a section of hyperparameters/{algo}.yaml")
