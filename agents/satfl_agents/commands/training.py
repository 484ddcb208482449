"""`satfl train`: learn a policy on several seeds, keep the best one of each, and compare them with the rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from satfl_baselines.commands.options import Track
from satfl_env.commands import (
    DEFAULT_SCENARIO,
    PNG,
    Overrides,
    Parts,
    PictureFormats,
    RewardName,
    ScenarioName,
    Workers,
    error_console,
    import_object,
    keeps_what_is_finished,
    load_parts,
    output_console,
    parse_formats,
    parse_overrides,
    say,
)

if TYPE_CHECKING:
    from satfl_agents import Assignment
    from satfl_baselines.commands.run_record import CommandRecord

# For the table at the end: the last held-out seeds, since whoever trains again after a look has chosen on them.
NUM_TEST_EPISODES = 5


def complete_algorithm(incomplete: str) -> list[str]:
    """Algorithms whose names begin with the given text."""
    from satfl_agents.algorithms.algorithm import ALGORITHMS

    return [name for name in ALGORITHMS if name.startswith(incomplete)]


Algo = Annotated[
    str,
    typer.Option(
        help="ppo, maskable-ppo, recurrent-ppo, sac, td3 or tqc, of Stable-Baselines3 and sb3-contrib, or cem.",
        autocompletion=complete_algorithm,
    ),
]
Hyper = Annotated[
    list[str] | None,
    typer.Option(
        "--hyper", metavar="KEY=VALUE", help="Change a hyperparameter, such as learner.gamma; may be repeated."
    ),
]


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command resumes an interrupted one.")],
    algo: Algo = "ppo",
    scenario: ScenarioName = DEFAULT_SCENARIO,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds to train on, rounded up to whole rollouts; else the algorithm's.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the first learner.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Number of learners, each in a folder seed-N of its own.")] = 1,
    clone: Annotated[str | None, typer.Option(help="Reference policy to imitate first.")] = None,
    hyper: Hyper = None,
    overrides: Overrides = None,
    parts: Parts = None,
    reward: RewardName = None,
    workers: Workers = 1,
    track: Track = None,
    picture_formats: PictureFormats = PNG,
) -> None:
    """Train schedulers, then test them on episodes they have not seen."""
    # It takes seconds to import, which --help need not wait for.
    from satfl_agents import Assignment, load_hyperparameters
    from satfl_agents.training.width import told_width
    from satfl_baselines.commands.run_record import recorded
    from satfl_baselines.tracking import check_trackers
    from satfl_env.scenarios import load

    keeps_what_is_finished()
    check_trackers(track or ())
    formats = parse_formats(picture_formats)
    config = load(scenario, **parse_overrides(overrides))
    changes = parse_overrides(hyper, "--hyper")
    changes |= {name: value for name, value in (("rounds", rounds), ("clone.policy", clone)) if value is not None}
    settings = load_hyperparameters(algo, config.name, changes)
    brought: dict[str, Any] = {"parts": load_parts(parts)} if parts else {}
    if reward is not None:
        brought["reward"] = import_object(reward)

    learners = {
        f"learned-{number}": Assignment(config, algo, settings, number, brought, workers)
        for number in range(seed, seed + seeds)
    }
    folders = {name: out / f"seed-{learner.seed}" if seeds > 1 else out for name, learner in learners.items()}
    with recorded(context, out, range(seed, seed + seeds), **brought) as record:
        if line := told_width(next(iter(learners.values()))):
            say(error_console(), line)
        for name, learner in learners.items():
            _learn(learner, folders[name], out / "rules", record, track or ())
        _test(learners, folders, out, brought, formats, record)


def _learn(assignment: Assignment, path: Path, rules: Path, record: CommandRecord, track: Sequence[str]) -> None:
    """Train one learner, unless that is done already; episodes of reference policies are kept for all."""
    from satfl_agents import RunFolder, Validator, learn

    errors = error_console()
    folder = RunFolder(
        path,
        assignment.scenario,
        assignment.hyperparameters,
        algo=assignment.algo,
        seed=assignment.seed,
        **assignment.brought,
    )
    record.begin()
    if folder.finished:
        say(errors, f"the run in {path} is complete already")
        return
    with record.progress("episodes of rules") as progress:
        validator = Validator(
            assignment.scenario,
            assignment.hyperparameters.validation,
            rules,
            assignment.brought,
            progress=progress,
        )
    with record.progress(f"rounds of learner {assignment.seed}") as progress:
        learn(assignment, folder, validator, progress=progress, tell=lambda line: say(errors, line), track=track)


def _test(
    learners: dict[str, Assignment],
    folders: dict[str, Path],
    out: Path,
    brought: dict[str, Any],
    formats: Sequence[str],
    record: CommandRecord,
) -> None:
    """Play held-out episodes with the policies learned and the rules, and say how they did."""
    from satfl_agents import load_policy
    from satfl_baselines import compare, summarise
    from satfl_baselines.files import one_writer, write_figure
    from satfl_baselines.seeds import HELD_OUT
    from satfl_baselines.tables import comparison_table
    from satfl_env import judging_metric
    from satfl_env.drawing import own_style

    first = next(iter(learners.values()))
    rules = first.hyperparameters.validation.rules
    with record.progress("held-out episodes") as progress:
        comparison = compare(
            first.scenario,
            [*rules, *learners],
            HELD_OUT[-NUM_TEST_EPISODES:],
            out / "held-out",
            own={name: load_policy(folders[name]) for name in learners},
            progress=progress,
            **brought,
        )
    summarise(out / "held-out", comparison, formats)
    console = output_console()
    title = f"{first.algo} on {first.scenario.name}, {NUM_TEST_EPISODES} held-out episodes"
    console.print(comparison_table(comparison, title))
    metric = judging_metric(comparison.metrics, first.scenario.target)
    with one_writer(out), own_style():
        # Matplotlib takes a while to import, and most commands never draw.
        from satfl_agents.training.picture import draw_learning

        picture = draw_learning(folders, metric, f"{first.algo} on {first.scenario.name}")
        write_figure(out / "learning", picture, formats)
    say(console, f"Policies, learning curves and episodes are in {out}")
