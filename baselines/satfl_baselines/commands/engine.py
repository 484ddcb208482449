"""The option `--engine` of commands that play episodes."""

from __future__ import annotations

from typing import Annotated

import typer

from satfl_baselines.jobs import EngineName

EngineChoice = Annotated[
    EngineName,
    typer.Option(
        "--engine", help="Where episodes are played: in processes of this machine, or on a Ray cluster (RAY_ADDRESS)."
    ),
]
