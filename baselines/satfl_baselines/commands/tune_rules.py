"""`satfl tune-rules`: the numbers of the rule, tuned on a scenario."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satfl_baselines.tuning.budget import DEFAULT_START, Budget
from satfl_env.commands import (
    DEFAULT_SCENARIO,
    Overrides,
    ScenarioName,
    Workers,
    keeps_what_is_finished,
    output_console,
    parse_overrides,
    say,
)

if TYPE_CHECKING:
    from rich.table import Table

    from satfl_baselines.tuning.rule_file import RuleFile


def tune_rules(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the search; the same command resumes an interrupted one.")],
    scenario: ScenarioName = DEFAULT_SCENARIO,
    start: Annotated[str, typer.Option(help="Policy to start from, one that is a case of the rule.")] = DEFAULT_START,
    generations: Annotated[int, typer.Option(min=1, help="Generations of candidates.")] = Budget.generations,
    population: Annotated[int, typer.Option(min=4, help="Candidates in each.")] = Budget.population,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds that each of them plays.")] = Budget.seeds,
    checks: Annotated[int, typer.Option(min=2, help="Seeds to check the result on.")] = Budget.checks,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the candidates.")] = 0,
    overrides: Overrides = None,
    workers: Workers = 1,
) -> None:
    """Tune the numbers of the reference rule on a scenario, by the cross-entropy method on tuning seeds."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.commands.run_record import recorded
    from satfl_baselines.tuning.tune import tune_rules as tune
    from satfl_baselines.tuning.tuned import FILE
    from satfl_env.scenarios import load
    from satfl_env.scenarios.errors import named

    keeps_what_is_finished()
    config = load(scenario, **parse_overrides(overrides))
    budget = Budget(generations=generations, population=population, seeds=seeds, checks=checks)
    with recorded(context, out, (seed,)) as record:
        with named(scenario), record.progress("generations") as progress:
            rule = tune(config, out, start=start, budget=budget, seed=seed, workers=workers, progress=progress)
        console, found = output_console(), rule.found
        console.print(_table(rule))
        say(
            console,
            f"{found['metric']:.4f} on {budget.checks} other seeds, "
            f"{found['over_start']:+.4f} ±{found['over_start_ci95']:.4f} over {start}",
        )
        say(console, f"The rule is in {out / FILE}; --policies {out / FILE} plays it")


def _table(rule: RuleFile) -> Table:
    from rich.table import Table

    table = Table("number", "value")
    for name, value in asdict(rule.numbers).items():
        table.add_row(name.replace("_", " "), f"{value:.3f}")
    return table
