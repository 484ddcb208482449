"""Options that commands which play episodes share: `--engine`, `--workers` and `--track`."""

from __future__ import annotations

from typing import Annotated

import typer

from satfl_baselines.jobs import EngineName
from satfl_baselines.tracking import TrackerName
from satfl_env.settings import MOST_WORKERS

EngineChoice = Annotated[
    EngineName,
    typer.Option(
        "--engine", help="Where episodes are played: in processes of this machine, or on a Ray cluster (RAY_ADDRESS)."
    ),
]
EpisodesAtOnce = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=MOST_WORKERS,
        help="Episodes to play at once; one in this process if not given, or on a cluster as many as it has cores.",
    ),
]
Track = Annotated[
    list[TrackerName] | None,
    typer.Option("--track", help="Write curves for TensorBoard or Weights & Biases as well; may be repeated."),
]
