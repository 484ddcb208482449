"""What a run gives its trackers: TensorBoard, which always has it, and others that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.logger import KVWriter

from satfl_agents.envs.episodes import Record
from satfl_baselines.tracking import Tracker


class Tracked(KVWriter):
    """Numbers by round: the learner's own, and records of episodes and validations.

    Args:
        trackers: What takes them.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Give on what Stable-Baselines3 logs."""
        self._log(
            step,
            {
                name: value
                for name, value in key_values.items()
                if isinstance(value, int | float) and "tensorboard" not in (key_excluded.get(name) or ())
            },
        )

    def add(self, group: str, record: Record, step: int) -> None:
        """Give on a record, each number under its name in a group."""
        self._log(step, {f"{group}/{name}": value for name, value in record.items()})

    def close(self) -> None:
        """Have what waits written."""
        for tracker in self._trackers:
            tracker.finish()

    def _log(self, step: int, numbers: dict[str, float]) -> None:
        for tracker in self._trackers:
            tracker.log(step, numbers)
