"""Options that commands which play episodes share: `--engine` and `--track`."""

from __future__ import annotations

from typing import Annotated

import typer

from satfl_baselines.jobs import EngineName
from satfl_baselines.tracking import TrackerName

EngineChoice = Annotated[
    EngineName,
    typer.Option(
        "--engine", help="Where episodes are played: in processes of this machine, or on a Ray cluster (RAY_ADDRESS)."
    ),
]
Track = Annotated[
    list[TrackerName] | None,
    typer.Option("--track", help="Write curves for TensorBoard or Weights & Biases as well; may be repeated."),
]
