"""`satfl replay`: an episode as a page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from satfl_baselines.commands.episode_options import DEFAULT_POLICY, EpisodePolicy, EpisodeScenario, EpisodeSeed
from satfl_baselines.commands.policy_names import own_policies
from satfl_env.commands import (
    Overrides,
    Parts,
    error_console,
    load_parts,
    output_console,
    parse_overrides,
    progress_bar,
    say,
)


def replay(
    scenario: EpisodeScenario,
    out: Annotated[Path, typer.Option(help="The page to write: FILE.html.")],
    policy: EpisodePolicy = DEFAULT_POLICY,
    seed: EpisodeSeed = 0,
    overrides: Overrides = None,
    parts: Parts = None,
) -> None:
    """Play an episode and write its replay: one page of HTML that needs no network."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.files import write_whole
    from satfl_baselines.pages.page import html_page, require_page
    from satfl_baselines.pages.recording import record_replay
    from satfl_env.scenarios import load
    from satfl_env.scenarios.errors import named

    require_page(out)
    config = load(scenario, **parse_overrides(overrides))
    own, brought = own_policies([policy]).get(policy, policy), load_parts(parts)
    with named(scenario), progress_bar(error_console(), "rounds") as progress:
        data = record_replay(config, own, seed, name=policy, parts=brought, progress=progress)
    write_whole(out, html_page("replay", f"{config.name}, {policy}, seed {seed}", data))
    say(output_console(), f"The replay is {out}; any browser opens it")
