"""`satfl compare`: policies side by side on a scenario."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from satfl_baselines.commands.options import EngineChoice, EpisodesAtOnce, Track
from satfl_baselines.commands.policy_names import KINDS, complete_policies, own_policies, parse_policies
from satfl_baselines.jobs import EngineName
from satfl_env.commands import (
    DEFAULT_SCENARIO,
    PNG,
    Overrides,
    Parts,
    PictureFormats,
    RewardName,
    ScenarioName,
    error_console,
    import_object,
    keeps_what_is_finished,
    load_parts,
    output_console,
    parse_formats,
    parse_overrides,
    say,
)
from satfl_env.counted import counted


def compare(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Result folder; the same command resumes an interrupted one.")],
    scenario: ScenarioName = DEFAULT_SCENARIO,
    policies: Annotated[
        str,
        typer.Option(
            help=f"Policies, separated by commas: {KINDS}; all listed ones if not given.",
            autocompletion=complete_policies,
        ),
    ] = "",
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds to play; the scenario's if not given.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds that every policy plays: 0, 1, ...")] = 5,
    overrides: Overrides = None,
    parts: Parts = None,
    reward: RewardName = None,
    workers: EpisodesAtOnce = None,
    engine: EngineChoice = EngineName.PROCESSES,
    track: Track = None,
    picture_formats: PictureFormats = PNG,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the summary as JSON; - prints nothing else.")
    ] = None,
) -> None:
    """Compare policies on a scenario: mean and 95 % interval over seeds, curves, CSV and JSON."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines import comparison as playing
    from satfl_baselines import tracking
    from satfl_baselines.commands.run_record import recorded
    from satfl_baselines.files import write_json
    from satfl_baselines.results import summarise
    from satfl_baselines.tables import comparison_table, lost_update_lines
    from satfl_env.scenarios import load
    from satfl_env.scenarios.errors import named

    keeps_what_is_finished()
    tracking.check_trackers(track or ())
    formats = parse_formats(picture_formats)
    errors = error_console()
    changes = parse_overrides(overrides)
    if rounds is not None:
        changes["rounds.episode"] = rounds
    config = load(scenario, **changes)
    names = parse_policies(policies, config.name)
    brought: dict[str, Any] = {
        "own": own_policies(names),
        "parts": load_parts(parts),
        "reward": None if reward is None else import_object(reward),
    }
    advances: list[int] = []
    with recorded(context, out, range(seeds), **brought) as record:
        with named(scenario), record.progress("episodes") as progress:

            def advance(finished: int, total: int) -> None:
                advances.append(finished)
                progress(finished, total)

            how: dict[str, Any] = {**brought, "workers": workers, "engine": engine}
            comparison = playing.compare(config, names, range(seeds), out, **how, progress=advance)
        if advances[0]:
            say(errors, f"episodes in {out} already: {advances[0]} of {advances[-1]}")
        summary = summarise(out, comparison, formats)
        tracking.track(comparison, out, track or (), {"scenario": config.model_dump(mode="json")})
        if json_path == "-":
            print(json.dumps(summary, indent=1))
            return
        if json_path is not None:
            write_json(Path(json_path), summary)
        console = output_console()
        console.print(
            comparison_table(comparison, f"{config.name}, {counted(comparison.rounds, 'round')}, seeds: {seeds}")
        )
        for line in lost_update_lines(comparison):
            say(console, line)
        say(console, f"Tables, curves and runs are in {out}")


def list_policies() -> Iterable[tuple[str, str]]:
    """Policies of the registry, for `satfl list`."""
    from satfl_baselines.policies import make_policy, policy_names
    from satfl_baselines.tuning.tuned import TUNED, tuned_scenarios

    registry = [(name, make_policy(name).description) for name in policy_names()]
    return [
        *registry,
        (TUNED, f"the package's rule for the scenario; there is one for: {', '.join(tuned_scenarios())}"),
    ]
