"""`satfl evaluate`: policies beside the reference rules on held-out seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from satfl_baselines.commands.options import EngineChoice, EpisodesAtOnce, Track
from satfl_baselines.commands.policy_names import KINDS, complete_policies, own_policies, parse_policies
from satfl_baselines.jobs import EngineName
from satfl_env.commands import (
    DEFAULT_SCENARIO,
    PNG,
    Overrides,
    PictureFormats,
    error_console,
    keeps_what_is_finished,
    output_console,
    parse_formats,
    parse_overrides,
    say,
)
from satfl_env.commands.options import complete_scenario

if TYPE_CHECKING:
    from satfl_baselines.suites.evaluation import Evaluation

DEFAULT_SEEDS = 50


def complete_suite(incomplete: str) -> list[str]:
    """Suites whose names begin with the given text."""
    return [name for name, _ in list_suites() if name.startswith(incomplete)]


SuiteName = Annotated[
    str | None,
    typer.Option(help="Suite to play: a name of `satfl list suites`, or a YAML file.", autocompletion=complete_suite),
]


def evaluate(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Result folder; the same command resumes an interrupted one.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Policy to evaluate, may be repeated: {KINDS}. Only reference policies are played if not given."
        ),
    ] = None,
    suite: SuiteName = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            help=f"Built-in scenario or YAML file to play, without a suite; {DEFAULT_SCENARIO} if not given.",
            autocompletion=complete_scenario,
        ),
    ] = None,
    overrides: Overrides = None,
    against: Annotated[
        str,
        typer.Option(
            help="Reference policies, separated by commas, without a suite; all listed ones if not given.",
            autocompletion=complete_policies,
        ),
    ] = "",
    seeds: Annotated[
        int | None, typer.Option(min=1, help=f"Number of held-out seeds; {DEFAULT_SEEDS}, or all of the suite.")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Play reference policies even where their results are recorded.")
    ] = False,
    workers: EpisodesAtOnce = None,
    engine: EngineChoice = EngineName.PROCESSES,
    track: Track = None,
    picture_formats: PictureFormats = PNG,
) -> None:
    """Evaluate policies on held-out seeds, beside reference policies and the best of them."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.commands.run_record import recorded
    from satfl_baselines.suites.report import all_standings, write_report
    from satfl_baselines.tables import standings_table
    from satfl_baselines.tracking import check_trackers
    from satfl_env.quantities import quantity

    keeps_what_is_finished()
    check_trackers(track or ())
    formats = parse_formats(picture_formats)
    errors, console = error_console(), output_console()
    asked = _evaluation(suite, scenario, overrides, against, seeds)
    evaluated = tuple(dict.fromkeys(policy or ()))
    known = None if replay else asked.recorded()
    own = own_policies(evaluated)
    with recorded(context, out, asked.seeds, own=own) as record:
        with record.progress("episodes") as progress:
            finals = asked.run(evaluated, out, own=own, known=known, workers=workers, engine=engine, progress=progress)
        _track(asked, out, track or ())
        if known is not None:
            there = ", ".join(name for name in known.values if name not in evaluated)
            say(errors, f"results of {there} are those recorded in the package; --replay plays them")
        found = all_standings(finals, asked.rules(evaluated), asked.scale)
        write_report(out, found, finals, asked.scale, asked.name, formats)
        for name, standings in found.items():
            judged = quantity(finals.metrics.get(name, "scores")).label
            console.print(standings_table(standings, f"{name}, {judged}, seeds: {len(finals.seeds)}"))
        say(console, f"Tables, picture and runs are in {out}")


def _track(asked: Evaluation, out: Path, names: Sequence[str]) -> None:
    """Give trackers the curves of what was played in each scenario."""
    from satfl_baselines.results import finished
    from satfl_baselines.summary import Comparison
    from satfl_baselines.tracking import track

    for name, scenario in asked.scenarios.items() if names else ():
        if not (out / name).is_dir():
            continue  # all results are recorded ones
        episodes = finished(out / name).episodes
        policies = {run.policy for run in episodes}
        played = [policy for policy in policies if all((policy, seed) in episodes for seed in asked.seeds)]
        comparison = Comparison(tuple(sorted(played)), tuple(asked.seeds), episodes)
        track(comparison, out / name, names, {"scenario": scenario.model_dump(mode="json")})


def _evaluation(
    suite: str | None, scenario: str | None, overrides: list[str] | None, against: str, seeds: int | None
) -> Evaluation:
    """What was asked to be played.

    Raises:
        ValueError: If a suite is named and something else that it already says.
    """
    from satfl_baselines.suites.evaluation import Evaluation
    from satfl_env.scenarios import load

    if suite is None:
        config = load(scenario or DEFAULT_SCENARIO, **parse_overrides(overrides))
        return Evaluation.of_scenario(config, parse_policies(against, config.name), seeds or DEFAULT_SEEDS)
    if scenario or overrides or against:
        raise ValueError("a suite says what is played; --scenario, --set and --against go without --suite")
    return Evaluation.of_suite(suite, seeds)


def list_suites() -> Iterable[tuple[str, str]]:
    """Suites of the package, for `satfl list`."""
    from satfl_baselines.suites.suite import load_suite, suite_names

    suites = ((name, load_suite(name)) for name in suite_names())
    return [(name, f"{suite.seeds} held-out seeds of {', '.join(suite.scenarios)}") for name, suite in suites]
