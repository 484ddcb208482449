"""Curves for TensorBoard and Weights & Biases, under the names that the tables have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from satfl_env.imports import to_install

if TYPE_CHECKING:
    from satfl_baselines.summary import Comparison

PROJECT = "satfl"


class TrackerName(StrEnum):
    """The trackers that there are."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"


class Tracker(Protocol):
    """Takes the curves of one run: a policy of a comparison, or a learner."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take numbers of a round."""

    def finish(self) -> None:
        """Write what waits."""


class TensorBoard:
    """Curves under `tensorboard/<run>` of a folder; `tensorboard --logdir FOLDER` shows them."""

    def __init__(self, folder: Path, run: str, config: Mapping[str, Any], first_step: int) -> None:
        # It takes seconds to import.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard" / run), purge_step=first_step)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write a point of each curve."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        """Write what waits."""
        self._writer.close()


class Wandb:
    """A new run of the project `satfl` in Weights & Biases, one of the group that the folder is.

    What goes on, or is played once more, is another run of the group: those that are there are left as they are.

    Its environment variables hold: with WANDB_MODE=offline nothing leaves the machine, and `wandb sync` with the folder
    of the run sends it later.
    """

    def __init__(self, folder: Path, run: str, config: Mapping[str, Any], first_step: int) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        group = folder.resolve().name
        self._run = wandb.init(
            project=PROJECT,
            name=run or group,
            group=group,
            dir=str(folder),
            config=dict(config),
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )
        # Curves of several kinds have steps of their own, which need not rise together.
        self._run.define_metric("*", step_metric="round")

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write a point of each curve."""
        self._run.log({**numbers, "round": step})

    def finish(self) -> None:
        """Write what waits."""
        self._run.finish()


MakeTracker = Callable[[Path, str, Mapping[str, Any], int], Tracker]
"""Takes the folder, the run's name, its configuration, and the round from which it writes: in the same run, what was
written for later ones does not count any more."""
TRACKERS: dict[str, MakeTracker] = {TrackerName.TENSORBOARD: TensorBoard, TrackerName.WANDB: Wandb}


def check_trackers(names: Sequence[str]) -> None:
    """Raise `ImportError` that says what to install if the library of a tracker is missing."""
    for name in names:
        if find_spec(name) is None:
            raise ImportError(f"--track {name} needs a library that is not installed: {to_install('track')}")


def track(comparison: Comparison, folder: Path, names: Sequence[str], config: Mapping[str, Any]) -> None:
    """Give some trackers the means over seeds of each policy, round by round: a run for every policy.

    Args:
        comparison: The comparison.
        folder: Its result folder.
        names: Keys of `TRACKERS`.
        config: What the runs were made with.
    """
    for name in dict.fromkeys(names):
        for policy in comparison.policies:
            curves = comparison.curves(policy)
            rounds = curves.pop("round")[0].astype(int).tolist()
            tracker = TRACKERS[name](folder, policy, {**config, "policy": policy}, 0)
            try:
                for index, number in enumerate(rounds):
                    means = {quantity: float(values[:, index].mean()) for quantity, values in curves.items()}
                    tracker.log(number, {quantity: mean for quantity, mean in means.items() if math.isfinite(mean)})
            finally:
                tracker.finish()
