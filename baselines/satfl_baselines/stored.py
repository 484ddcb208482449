"""Finished episodes as files: a list of records, the first of which seals them all.

The seal is a digest of everything the episode is and belongs to. A file that was cut, changed or moved is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from satfl_baselines.evaluate import NOT_PLAYED, Episode, Run
from satfl_baselines.files import damaged, expressible, number_or_nan, of_another_version, read_json, write_json
from satfl_env import __version__
from satfl_env.counted import counted
from satfl_env.scenarios import Scenario

SEAL = "seal"
# In every record, whatever the model's metrics are called.
ALWAYS = {"round", "time_s", "test_loss", "clusters", *NOT_PLAYED}

# JSON has null where a number is not finite.
Number = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, AfterValidator(number_or_nan)]


def write_episode(path: Path, episode: Episode, belongs: Mapping[str, Any]) -> None:
    """Write an episode with a seal of it and of what it `belongs` to."""
    first, *others = episode
    write_json(path, [{SEAL: _seal(episode, belongs), **first}, *others])


def read_episode(path: Path, run: Run, scenario: Scenario, belongs: Mapping[str, Any]) -> Episode:
    """The episode of a file.

    Raises:
        ValueError: If the file holds anything else than the whole episode written for `belongs`; it is named.
        OSError: If it cannot be read.
    """
    records: list[dict[str, Any]] = read_json(path, list[dict[str, Number | str]])
    seal = records[0].pop(SEAL, None) if records else None
    if problem := _problem(records, scenario):
        raise damaged(path, problem)
    sealed, lacking = seal == _seal(records, belongs), ALWAYS - records[0].keys()
    if lacking and (sealed or belongs.get("version") != __version__):
        raise of_another_version(path, f"it lacks {', '.join(sorted(lacking))}", belongs.get("version"))
    if lacking:
        raise damaged(path, f"record 0 lacks {', '.join(sorted(lacking))}")
    if not sealed:
        raise damaged(path, f"it was changed, or is not the episode of {run.policy!r} on seed {run.seed} here")
    return records


def _problem(records: list[dict[str, Any]], scenario: Scenario) -> str:
    """What is wrong with the records of an episode; nothing if they are whole."""
    for index, record in enumerate(records):
        if texts := [name for name, value in record.items() if not isinstance(value, float)]:
            return f"record {index}: {texts[0]} must be a number"
        if missing := records[0].keys() - record.keys():
            return f"record {index} lacks {', '.join(sorted(missing))}"
        if record.get("round", index) != index:
            return f"record {index} is of round {record['round']:g}"
    last, longest = len(records) - 1, scenario.rounds.episode
    # A target or a decay ends an episode early; one that was cut has no seal.
    return "" if 1 <= last <= longest else f"it has {max(last, 0)} of {counted(longest, 'round')}"


def _seal(episode: Episode, belongs: Mapping[str, Any]) -> str:
    content = expressible([belongs, [{name: float(value) for name, value in record.items()} for record in episode]])
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
