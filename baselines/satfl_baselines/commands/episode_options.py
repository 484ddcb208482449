"""What the commands that play a policy's episodes to show or keep them have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from satfl_baselines.commands.policy_names import KINDS, complete_policies
from satfl_env.commands.options import SCENARIO

DEFAULT_POLICY = "full"

EpisodeScenario = Annotated[str, typer.Argument(**SCENARIO)]
EpisodePolicy = Annotated[
    str, typer.Option(help=f"Policy that plays, one of {KINDS}.", autocompletion=complete_policies)
]
EpisodeSeed = Annotated[int, typer.Option(min=0, help="Seed of the episode.")]
