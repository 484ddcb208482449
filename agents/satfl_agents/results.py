"""The folder of a training run.

    config.json        scenario, algorithm, steps, seed, batches per epoch, version
    policy.zip         the trained policy, for `PPO.load` or `MaskablePPO.load`
    curve.csv          one row per training episode
    references.json    the same episodes under policies of the baselines
    evaluation.json    episodes on held-out seeds; written last, so it marks a complete run

Files appear whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from satfl_baselines.files import is_new, one_writer, read_json, write_csv, write_json, write_whole
from satfl_baselines.identity import identity, require_same
from satfl_baselines.stored import Number
from satfl_env.scenarios import Scenario

Record = dict[str, float]
# The same in a file: JSON has null where a number is not finite.
StoredRecord = dict[str, Number]
References = dict[str, list[Record]]
CONFIG = "config.json"


class RunFolder:
    """The folder of a training run, new or left by the same run before.

    Args:
        path: The folder; made if it is not there.
        scenario: The scenario to schedule.
        **settings: Everything else the run depends on; objects of your own are known by their qualified names.

    Raises:
        ValueError: If the folder holds another run, or anything else.
    """

    def __init__(self, path: Path, scenario: Scenario, **settings: Any) -> None:
        self.path = path
        config = identity(scenario, **settings)
        if not is_new(path):
            require_same(path, "training run", _read_config(path), config)
        with one_writer(path):
            write_json(path / CONFIG, config)

    @property
    def evaluation(self) -> list[Record] | None:
        """The evaluation of a complete run; None until it is complete."""
        file = self.path / "evaluation.json"
        if not file.exists():
            return None
        records: list[Record] = read_json(file, list[StoredRecord])
        return records

    @property
    def references(self) -> References:
        """The episodes of the evaluation under policies of the baselines; none if the run is of an earlier version."""
        file = self.path / "references.json"
        if not file.exists():
            return {}
        references: References = read_json(file, dict[str, list[StoredRecord]])
        return references

    def save(self, policy: bytes, curve: list[Record], evaluation: list[Record], references: References) -> None:
        """Keep a trained policy (a zip file), its learning curve, its evaluation and references for it."""
        with one_writer(self.path):
            write_whole(self.path / "policy.zip", policy)
            # A run shorter than an episode has an empty curve.
            write_csv(self.path / "curve.csv", curve, tuple(curve[0]) if curve else ("step", "return", "length"))
            write_json(self.path / "references.json", references)
            write_json(self.path / "evaluation.json", evaluation)


def _read_config(path: Path) -> dict[str, Any]:
    if not (path / CONFIG).is_file():
        raise ValueError(f"folder {str(path)!r} is not empty and holds no training run; choose a new or an empty one")
    config: dict[str, Any] = read_json(path / CONFIG, dict[str, Any])
    return config
