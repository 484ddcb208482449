"""What changes from round to round, apart from the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from satfl_env.simulation.evaluation import Evaluation
from satfl_env.simulation.faults import NoFaults
from satfl_env.simulation.protocols import Fetched
from satfl_env.simulation.state import FloatArray, IntArray
from satfl_env.simulation.update_similarity import UpdateSimilarity

# Entries of a state.
_CHECKED_BY_THEMSELVES = ("state['models']", "state['local']")


@dataclass
class Progress:
    """What changes from round to round, apart from the models.

    Attributes:
        round: Number of finished rounds.
        time_s: Simulated time since the start of the episode.
        charge_j: Energy stored, (S,).
        last_loss: Training loss of each satellite's last trained epoch, (S,).
        last_epochs: Local epochs of its last update, (S,).
        cluster: Its cluster in the last round, (S,).
        update_similarity: Latest cosine similarity of every two updates.
        test: Test of the models that satellites hold.
        fetched_s: When each last fetched a model, (S,); NaN before that.
        fetched_version: In which version, (S,).
        fetched_cpu_hz: The CPU frequency decided then, (S,).
        upload_memory: What compression has left out of each satellite's updates, (S, num_shared); (S, 0) without error
            feedback.
    """

    round: int
    time_s: float
    charge_j: FloatArray
    last_loss: FloatArray
    last_epochs: IntArray
    cluster: IntArray
    update_similarity: UpdateSimilarity
    test: Evaluation
    fetched_s: FloatArray
    fetched_version: IntArray
    fetched_cpu_hz: FloatArray
    upload_memory: Tensor

    def fetched(self, faults: NoFaults) -> Fetched:
        """The models that satellites have fetched last; while they are out of order they do not train."""
        return Fetched(faults.working_s(self.fetched_s, self.time_s), self.fetched_version, self.fetched_cpu_hz)


def check_like(name: str, value: Any, mine: Any) -> None:
    """Raise a `ValueError` that names the entry where a state differs in keys or shapes; some check themselves."""
    if isinstance(mine, dict) and name not in _CHECKED_BY_THEMSELVES:
        if value.keys() != mine.keys():
            raise ValueError(f"{name} has the entries {sorted(value)}; expected {sorted(mine)}")
        for key, own in mine.items():
            check_like(f"{name}[{key!r}]", value[key], own)
    elif np.shape(value) != np.shape(mine):
        raise ValueError(f"{name} has shape {(*np.shape(value),)}; expected {(*np.shape(mine),)}")
