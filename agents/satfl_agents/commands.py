"""`satfl train`: a scheduler trained with Stable-Baselines3; nothing heavy is imported before it runs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from satfl_env.commands import (
    DEFAULT_SCENARIO,
    Overrides,
    Parts,
    RewardName,
    ScenarioName,
    error_console,
    import_object,
    load_parts,
    output_console,
    parse_overrides,
    progress_bar,
    say,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from satfl_agents.results import Record, References
    from satfl_env.scenarios import Scenario

NUM_TEST_EPISODES = 5
# Policies of the baselines that play the same episodes: a simple rule, and random decisions.
REFERENCES = ("nearest-fedavg", "random")


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    algo: Annotated[str, typer.Option(help="ppo (continuous actions) or maskable-ppo (discrete, masked).")] = "ppo",
    scenario: ScenarioName = DEFAULT_SCENARIO,
    steps: Annotated[int, typer.Option(min=1, help="Rounds to train on, rounded up to whole updates of 200.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of episodes and learner.")] = 0,
    overrides: Overrides = None,
    parts: Parts = None,
    reward: RewardName = None,
) -> None:
    """Train a scheduler, then test it on episodes it has not seen."""
    # It takes seconds to import, which --help need not wait for.
    from satfl_env.scenarios import load

    config = load(scenario, **parse_overrides(overrides))
    brought = {"parts": load_parts(parts)} if parts else {}
    if reward is not None:
        brought["reward"] = import_object(reward)
    evaluation, references = _train(out, config, algo, steps, seed, brought, error_console())
    console = output_console()
    title = f"{algo} on {config.name}, {len(evaluation)} held-out episodes, beside means of reference policies"
    say(console, title)
    console.print(_table(evaluation, references))
    say(console, f"Policy, learning curve and evaluation are in {out}")


def _train(
    out: Path, config: Scenario, algo: str, steps: int, seed: int, brought: Mapping[str, Any], errors: Console
) -> tuple[list[Record], References]:
    """Train and keep the results, unless they exist already; returns the evaluation and its references."""
    from satfl_agents.results import RunFolder

    # Stable-Baselines3 is an optional dependency.
    from satfl_agents.train import FIRST_HELD_OUT_SEED, check_algorithm, evaluate, evaluate_policy, train, whole_updates

    check_algorithm(algo)
    steps = whole_updates(steps)
    folder = RunFolder(out, config, algo=algo, steps=steps, seed=seed, **brought)
    if folder.evaluation is not None:
        say(errors, "this run is complete already")
        return folder.evaluation, folder.references
    with progress_bar(errors, "rounds") as progress:
        scheduler, curve = train(
            config,
            algo,
            steps=steps,
            seed=seed,
            progress=lambda step: progress(step, steps),
            **brought,
        )
    held_out = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + NUM_TEST_EPISODES)
    evaluation = evaluate(scheduler, config, algo, held_out, **brought)
    references = {name: evaluate_policy(name, config, held_out, **brought) for name in REFERENCES}
    policy = io.BytesIO()
    scheduler.save(policy)
    folder.save(policy.getvalue(), curve, evaluation, references)
    return evaluation, references


def _table(evaluation: list[Record], references: References) -> Table:
    from rich.table import Table

    table = Table("", "mean", "lowest", "highest", *references)
    for name in evaluation[0]:
        if name == "seed":
            continue
        values = _column(evaluation, name)
        others = (fmean(_column(records, name)) for records in references.values())
        cells = (fmean(values), min(values), max(values), *others)
        table.add_row(name.replace("_", " "), *(f"{value:.3f}" for value in cells))
    return table


def _column(records: list[Record], name: str) -> list[float]:
    return [record[name] for record in records]
