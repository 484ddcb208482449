"""The part of `info` about a round: the same keys, shapes and types after a reset and after a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from satfl_env.simulation import Outcome, RoundReport

# What a report tells of each satellite, and what stands for it before the first round, which all have sat out.
_BEFORE: dict[str, np.generic] = {
    "outcome": np.int64(Outcome.SAT_OUT),
    "epochs": np.int64(0),
    "batches": np.int64(0),
    "staleness": np.int64(0),
    "energy_j": np.float64(0.0),
    "harvested_j": np.float64(0.0),
    "standing_j": np.float64(0.0),
    "spilled_j": np.float64(0.0),
    "equal_weights": np.False_,
    "equal_merges": np.False_,
}


def round_info(report: RoundReport) -> dict[str, Any]:
    """What happened in a round, in fresh arrays."""
    return {name: np.array(getattr(report, name)) for name in _BEFORE} | {"duration_s": report.duration_s}


def no_round_info(num_satellites: int) -> dict[str, Any]:
    """The same before the first round."""
    return {name: np.full(num_satellites, value) for name, value in _BEFORE.items()} | {"duration_s": 0.0}
