"""The folder of a training run.

    config.json            what results depend on: scenario, algorithm, hyperparameters, seed, version
    scenario.yaml          the scenario with all its values, to read and to play
    hyperparameters.yaml   all hyperparameters, to read
    curve.csv, .json       a row for every episode of training
    validation.csv, .json  a row for every judgement on validation seeds
    policy/                the policy that was best there, for `satfl_agents.load_policy`
    checkpoint.pt          all that the run goes on from after it was killed
    tensorboard/           the same curves, and the learner's own
    finished.json          rounds and seconds; written last, so it marks a complete run
    in-use.lock            locked by the process that trains, and left behind

Files appear whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from satfl_agents.envs.episodes import Record
from satfl_agents.hyperparameters.sections import Hyperparameters
from satfl_agents.policies.folders import POLICY
from satfl_baselines import checkpoint
from satfl_baselines.files import is_new, one_writer, write_json, write_table, write_yaml
from satfl_baselines.identity import identity, read_record, require_same, write_record
from satfl_env.scenarios import Scenario

CONFIG = "config.json"
VALIDATION = "validation.csv"
# The system takes the lock from a process that ends. Removing its file might let two in, each with a file of its own.
IN_USE = "in-use.lock"
# Changes no result, so a run may go on with another value.
_NO_PART = "checkpoint_every"


class RunFolder:
    """The folder of a training run, new or left by the same run before.

    Args:
        path: The folder; made if it is not there.
        scenario: The scenario to schedule.
        hyperparameters: Those of the run.
        **settings: Everything else the run depends on; objects of your own are known by their qualified names.

    Raises:
        ValueError: If the folder holds another run, or anything else.
    """

    def __init__(self, path: Path, scenario: Scenario, hyperparameters: Hyperparameters, **settings: Any) -> None:
        self.path = path
        values = hyperparameters.model_dump(mode="json")
        config = _results_of(identity(scenario, hyperparameters=values, **settings))
        if not is_new(path):
            # Folders written earlier have all hyperparameters.
            there = _results_of(read_record(path / CONFIG, "training run"))
            require_same(path, "training run", there, config)
        with one_writer(path):
            write_record(path / CONFIG, config)
            write_yaml(path / "hyperparameters.yaml", values)

    @property
    def policy(self) -> Path:
        """Where the best policy lies."""
        return self.path / POLICY

    @property
    def finished(self) -> bool:
        """Whether the run is complete."""
        return (self.path / "finished.json").exists()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep other processes from training in the folder meanwhile.

        Raises:
            OSError: If one does already.
        """
        try:
            held = FileLock(self.path / IN_USE, timeout=0).acquire()
        except Timeout as error:
            raise OSError(f"another process trains in folder {str(self.path)!r}") from error
        with held:
            yield

    def read_checkpoint(self) -> dict[str, Any] | None:
        """The state to go on from; None at the start."""
        path = self.path / "checkpoint.pt"
        return checkpoint.load(path) if path.exists() else None

    def write_checkpoint(self, state: dict[str, Any]) -> int:
        """Keep a state to go on from; returns its bytes."""
        with one_writer(self.path):
            return checkpoint.save(self.path / "checkpoint.pt", state)

    def write_curves(self, curve: list[Record], validation: list[Record]) -> None:
        """Write the records of training and of validation; there are none of training before an episode has ended."""
        with one_writer(self.path):
            write_table(self.path / "curve.csv", curve, tuple(curve[0]) if curve else ("rounds", "return", "length"))
            write_table(self.path / VALIDATION, validation)

    def finish(self, rounds: int, seconds: float) -> None:
        """Mark the run as complete."""
        with one_writer(self.path):
            write_json(self.path / "finished.json", {"rounds": rounds, "seconds": round(seconds, 1)})


def _results_of(config: dict[str, Any]) -> dict[str, Any]:
    """What of a run's record its results depend on."""
    settings = config.get("hyperparameters")
    if not isinstance(settings, dict):
        return config
    return {**config, "hyperparameters": {name: value for name, value in settings.items() if name != _NO_PART}}
