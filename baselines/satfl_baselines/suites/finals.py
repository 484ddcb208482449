"""Final metrics of policies on some scenarios and seeds, and their file.

The file names the suite that the numbers belong to, and with each policy the version of the package that played it:

    {"suite": "v1", "checksum": "...", "seeds": [...], "metrics": {"leo-multitask": "balanced_accuracy"},
     "policies": {"full": {"version": "0.1.0", "training_rounds": null, "values": {"leo-multitask": [...]}}}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from satfl_baselines.arrays import FloatArray
from satfl_baselines.files import damaged, read_json, write_json
from satfl_baselines.suites.suite import Suite
from satfl_env.counted import counted

FILE = "finals.json"


class StoredPolicy(TypedDict):
    """What the file holds of a policy."""

    version: str
    training_rounds: int | None
    values: dict[str, list[Annotated[float, Field(allow_inf_nan=False)]]]


class Stored(TypedDict):
    """What the file holds."""

    suite: str
    checksum: str
    seeds: Annotated[list[int], Field(min_length=1)]
    metrics: dict[str, str]
    policies: dict[str, StoredPolicy]


@dataclass(frozen=True, eq=False)
class Finals:
    """Final metrics of policies, all on the same scenarios and seeds.

    Attributes:
        metrics: Name of the metric of each scenario.
        seeds: The seeds.
        values: The metrics of each policy, (seeds, scenarios).
        versions: Version of the package that played each.
        training_rounds: Rounds that learned policies were trained on.
    """

    metrics: Mapping[str, str]
    seeds: tuple[int, ...]
    values: Mapping[str, FloatArray]
    versions: Mapping[str, str]
    training_rounds: Mapping[str, int] = field(default_factory=dict)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names of the scenarios."""
        return tuple(self.metrics)

    def of(self, scenario: str) -> Mapping[str, FloatArray]:
        """The metrics of each policy in one scenario, (seeds, 1)."""
        column = self.scenarios.index(scenario)
        return {policy: values[:, [column]] for policy, values in self.values.items()}

    def at(self, seeds: Sequence[int]) -> Finals | None:
        """The same at some of the seeds; None if it lacks one."""
        if not set(seeds) <= set(self.seeds):
            return None
        rows = [self.seeds.index(seed) for seed in seeds]
        return replace(self, seeds=tuple(seeds), values={name: own[rows] for name, own in self.values.items()})

    def joined(self, other: Finals) -> Finals:
        """With the policies of others of the same scenarios and seeds; its own stay where both have one.

        Raises:
            ValueError: If scenarios or seeds differ.
        """
        if (self.seeds, self.metrics) != (other.seeds, other.metrics):
            raise ValueError(
                f"results are of other seeds or metrics: {counted(len(self.seeds), 'seed')} of "
                f"{', '.join(self.metrics)} and {len(other.seeds)} of {', '.join(other.metrics)}"
            )
        return replace(
            self,
            values={**other.values, **self.values},
            versions={**other.versions, **self.versions},
            training_rounds={**other.training_rounds, **self.training_rounds},
        )

    def scores(self, zero: str, one: str) -> Mapping[str, FloatArray]:
        """Metrics on a scale on which two policies have means of 0 and 1 in each scenario, (seeds, scenarios).

        Raises:
            ValueError: If the second is not better than the first in some scenario.
        """
        low, high = (self.values[policy].mean(axis=0) for policy in (zero, one))
        for scenario, bottom, top in zip(self.scenarios, low, high, strict=True):
            if not top > bottom:
                raise ValueError(
                    f"scenario {scenario!r} gives no scores: {one} has a mean of {top:.4g}, {zero} one of {bottom:.4g}"
                )
        return {policy: (values - low) / (high - low) for policy, values in self.values.items()}


def write_finals(path: Path, finals: Finals, suite: Suite) -> None:
    """Write final metrics of a suite."""
    stored: Stored = {
        "suite": suite.name,
        "checksum": suite.digest,
        "seeds": list(finals.seeds),
        "metrics": dict(finals.metrics),
        "policies": {
            policy: {
                "version": finals.versions[policy],
                "training_rounds": finals.training_rounds.get(policy),
                "values": dict(zip(finals.scenarios, values.T.tolist(), strict=True)),
            }
            for policy, values in finals.values.items()
        },
    }
    write_json(path, stored)


def read_finals(path: Path, suite: Suite) -> Finals:
    """Final metrics of a suite.

    Raises:
        ValueError: If the file is damaged, or of another suite; it is named.
        OSError: If it cannot be read.
    """
    stored: Stored = read_json(path, Stored)
    for name, there, here in (("suite", stored["suite"], suite.name), ("checksum", stored["checksum"], suite.digest)):
        if there != here:
            raise ValueError(f"file {str(path)!r} has results of another suite: its {name} is {there}, not {here}")
    policies = stored["policies"]
    if problem := next(_gaps(stored), None):
        raise damaged(path, problem)
    return Finals(
        stored["metrics"],
        tuple(stored["seeds"]),
        {policy: np.array(list(own["values"].values()), dtype=np.float64).T for policy, own in policies.items()},
        {policy: own["version"] for policy, own in policies.items()},
        {policy: rounds for policy, own in policies.items() if (rounds := own["training_rounds"]) is not None},
    )


def _gaps(stored: Stored) -> Iterator[str]:
    """Where a policy has no value for each scenario and seed."""
    scenarios, seeds = list(stored["metrics"]), len(stored["seeds"])
    for policy, own in stored["policies"].items():
        place = f"policies.{policy}.values"
        if list(own["values"]) != scenarios:
            yield f"{place}: must be of {', '.join(scenarios)}, got {', '.join(own['values'])}"
        for scenario, values in own["values"].items():
            if len(values) != seeds:
                yield f"{place}.{scenario}: must have {counted(seeds, 'value')}, one for each seed, got {len(values)}"
