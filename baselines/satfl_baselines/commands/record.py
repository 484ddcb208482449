"""`satfl record`: episodes of a policy as a Minari data set."""

from __future__ import annotations

from typing import Annotated

import typer

from satfl_baselines.commands.episode_options import DEFAULT_POLICY, EpisodePolicy
from satfl_baselines.commands.policy_names import own_policies
from satfl_env.commands import (
    DEFAULT_SCENARIO,
    Overrides,
    ScenarioName,
    error_console,
    output_console,
    parse_overrides,
    progress_bar,
    say,
)
from satfl_env.counted import counted


def record(
    out: Annotated[
        str,
        typer.Option(
            help="Id of the data set, such as satfl/full-v0, or its folder, which begins with '.', '/' or '~' and ends "
            "with such a name and version."
        ),
    ],
    scenario: ScenarioName = DEFAULT_SCENARIO,
    policy: EpisodePolicy = DEFAULT_POLICY,
    episodes: Annotated[int, typer.Option(min=1, help="Number of episodes.")] = 10,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first episode; the next ones follow.")] = 0,
    form: Annotated[
        str, typer.Option(help="Observations and actions: flat (boxes in [-1, 1]) or native (dictionaries, SI units).")
    ] = "flat",
    clusters: Annotated[
        int | None,
        typer.Option(
            min=1, help="Cluster labels of flat actions: as many as the policy makes clusters; 3 if not given."
        ),
    ] = None,
    data_format: Annotated[str, typer.Option("--format", help="Files: hdf5, arrow or parquet.")] = "hdf5",
    overrides: Overrides = None,
) -> None:
    """Record episodes of a policy as a Minari data set, for learning without the environment."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.bridges.minari import record as write

    own = own_policies([policy]).get(policy, policy)
    seeds = range(first_seed, first_seed + episodes)
    with progress_bar(error_console(), "episodes") as progress:
        folder = write(
            out,
            scenario,
            own,
            seeds,
            name=policy,
            overrides=parse_overrides(overrides),
            form=form,
            **({} if clusters is None else {"clusters": clusters}),
            data_format=data_format,
            progress=progress,
        )
    say(output_console(), f"{counted(episodes, 'episode')} of {policy} in {folder}")
