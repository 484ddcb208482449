"""The part of `info` about a round: the same keys, shapes and types after a reset and after a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from satfl_env.simulation import Outcome, RoundReport


def round_info(report: RoundReport) -> dict[str, Any]:
    """What happened in a round, in fresh arrays."""
    return {
        "outcome": report.outcome.copy(),
        "epochs": report.epochs.copy(),
        "batches": report.batches.copy(),
        "staleness": report.staleness.copy(),
        "energy_j": report.energy_j,
        "duration_s": report.duration_s,
        "equal_weights": report.equal_weights.copy(),
        "equal_merges": report.equal_merges.copy(),
    }


def no_round_info(num_satellites: int) -> dict[str, Any]:
    """The same before the first round: all satellites have sat out."""
    return {
        "outcome": np.full(num_satellites, Outcome.SAT_OUT.value, dtype=np.int64),
        "epochs": np.zeros(num_satellites, dtype=np.int64),
        "batches": np.zeros(num_satellites, dtype=np.int64),
        "staleness": np.zeros(num_satellites, dtype=np.int64),
        "energy_j": np.zeros(num_satellites),
        "duration_s": 0.0,
        "equal_weights": np.zeros(num_satellites, dtype=np.bool_),
        "equal_merges": np.zeros(num_satellites, dtype=np.bool_),
    }
