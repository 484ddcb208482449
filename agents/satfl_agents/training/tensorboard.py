"""What a run writes for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter
from torch.utils.tensorboard import SummaryWriter

from satfl_agents.envs.episodes import Record


class TensorBoard(KVWriter):
    """Scalars by round: the learner's own, and records of episodes and validations.

    Args:
        folder: The folder of a run.
        first_round: The round that the run goes on from; what was written for later ones does not count any more.
    """

    def __init__(self, folder: Path, first_round: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=first_round or None)

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write what Stable-Baselines3 logs."""
        for name, value in key_values.items():
            if isinstance(value, int | float) and "tensorboard" not in (key_excluded.get(name) or ()):
                self._writer.add_scalar(name, value, step)

    def add(self, group: str, record: Record, step: int) -> None:
        """Write a record, each number under its name in a group."""
        for name, value in record.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()
