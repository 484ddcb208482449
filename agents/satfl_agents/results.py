"""The folder of a training run.

    config.json        scenario, algorithm, steps, seed, batches per epoch, version
    policy.zip         the trained policy, for `PPO.load` or `MaskablePPO.load`
    curve.csv          one row per training episode
    references.json    the same episodes under policies of the baselines
    evaluation.json    episodes on held-out seeds; written last, so it marks a complete run

Files appear whole or not at all.
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from satfl_env import __version__
from satfl_env.scenarios import Scenario

Record = dict[str, float]
References = dict[str, list[Record]]
PART = ".part"


class RunFolder:
    """The folder of a training run, new or left by the same run before.

    Args:
        path: The folder; made if it is not there.
        scenario: The scenario to schedule.
        **settings: Everything else the run depends on.

    Raises:
        ValueError: If the folder holds another run, or anything else.
    """

    def __init__(self, path: Path, scenario: Scenario, **settings: Any) -> None:
        self.path = path
        config = {
            **settings,
            "version": __version__,
            "batches_per_epoch": scenario.training.batches_per_epoch,
            "scenario": scenario.model_dump(mode="json"),
        }
        if path.exists() and any(file.suffix != PART for file in path.iterdir()):
            _require_same(path, config)
        path.mkdir(parents=True, exist_ok=True)
        _write_whole(path / "config.json", _json(config))

    @property
    def evaluation(self) -> list[Record] | None:
        """The evaluation of a complete run; None until it is complete."""
        file = self.path / "evaluation.json"
        if not file.exists():
            return None
        records: list[Record] = json.loads(file.read_text(encoding="utf-8"))
        return records

    @property
    def references(self) -> References:
        """The episodes of the evaluation under policies of the baselines; none if the run is of an earlier version."""
        file = self.path / "references.json"
        if not file.exists():
            return {}
        references: References = json.loads(file.read_text(encoding="utf-8"))
        return references

    def save(self, policy: bytes, curve: list[Record], evaluation: list[Record], references: References) -> None:
        """Keep a trained policy (a zip file), its learning curve, its evaluation and references for it."""
        _write_whole(self.path / "policy.zip", policy)
        _write_whole(self.path / "curve.csv", _csv(curve))
        _write_whole(self.path / "references.json", _json(references))
        _write_whole(self.path / "evaluation.json", _json(evaluation))


def _require_same(path: Path, config: dict[str, Any]) -> None:
    file = path / "config.json"
    if not file.is_file():
        raise ValueError(f"folder {str(path)!r} is not empty and holds no training run; choose a new or an empty one")
    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"file {str(file)!r} is damaged ({error}); choose another folder") from error
    here, there = _without_place(config), _without_place(earlier)
    differing = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    if differing:
        raise ValueError(f"folder {str(path)!r} holds another training run; it differs in: {', '.join(differing)}")


def _without_place(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the location of its data sets, on which the run does not depend."""
    scenario = config.get("scenario", {})
    data = {key: value for key, value in scenario.get("data", {}).items() if key != "data_dir"}
    return config | {"scenario": scenario | {"data": data}}


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _csv(records: list[Record]) -> bytes:
    text = io.StringIO(newline="")
    # A run shorter than an episode has an empty curve.
    writer = csv.DictWriter(text, records[0].keys() if records else ("step", "return", "length"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half written."""
    part = path.with_name(path.name + PART)
    part.write_bytes(content)
    os.replace(part, path)
