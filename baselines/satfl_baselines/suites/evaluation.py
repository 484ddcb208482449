"""An evaluation: what `satfl evaluate` plays and beside what, of a suite or chosen freely."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from satfl_baselines.evaluate import Decide
from satfl_baselines.files import one_writer
from satfl_baselines.jobs import EngineName
from satfl_baselines.seeds import HELD_OUT
from satfl_baselines.suites.finals import FILE, Finals, read_finals, write_finals
from satfl_baselines.suites.playing import play
from satfl_baselines.suites.suite import Suite, load_suite, recorded_file
from satfl_env.counted import counted
from satfl_env.scenarios import Scenario


@dataclass(frozen=True)
class Evaluation:
    """What is played to judge policies.

    Attributes:
        name: Its name.
        scenarios: Its scenarios by name.
        references: Policies of the registry that all others are compared with.
        seeds: Seeds that every policy plays.
        suite: The suite that it is of; None if scenario and policies were chosen freely.
    """

    name: str
    scenarios: Mapping[str, Scenario]
    references: Sequence[str]
    seeds: Sequence[int]
    suite: Suite | None = None

    @classmethod
    def of_suite(cls, name_or_path: str, seeds: int | None = None) -> Evaluation:
        """That of a suite, on its first seeds if a number is given.

        Raises:
            ValueError: If there is no such suite, it is not valid, or it has fewer seeds.
        """
        suite = load_suite(name_or_path)
        number = suite.seeds if seeds is None else seeds
        if number > suite.seeds:
            raise ValueError(f"suite {suite.name!r} has {counted(suite.seeds, 'seed')}, got {number}")
        return cls(suite.name, suite.loaded(), suite.references, HELD_OUT[:number], suite)

    @classmethod
    def of_scenario(cls, scenario: Scenario, references: Sequence[str], seeds: int) -> Evaluation:
        """That of a single scenario, on the first held-out seeds."""
        return cls(scenario.name, {scenario.name: scenario}, references, HELD_OUT[:seeds])

    @property
    def scale(self) -> tuple[str, str] | None:
        """The policies whose scores are 0 and 1; metrics are compared as they are where there is none."""
        return None if self.suite is None else (self.suite.zero, self.suite.one)

    def recorded(self) -> Finals | None:
        """What the package holds of the reference policies' results, if it holds those of all seeds."""
        file = None if self.suite is None else recorded_file(self.suite.name)
        if self.suite is None or file is None or not file.exists():
            return None
        return read_finals(file, self.suite).at(self.seeds)

    def rules(self, evaluated: Sequence[str]) -> Sequence[str]:
        """The reference policies that others are measured by: those that are not evaluated themselves."""
        return [name for name in self.references if name not in evaluated] or self.references

    def run(
        self,
        evaluated: Sequence[str],
        out: Path,
        *,
        own: Mapping[str, Decide],
        known: Finals | None = None,
        workers: int | None = None,
        engine: str = EngineName.PROCESSES,
        progress: Callable[[int, int], Any] = lambda finished, total: None,
    ) -> Finals:
        """Play some policies and the reference policies, and keep a suite's final metrics in the folder.

        Args:
            evaluated: Names of policies, in the registry or in `own`.
            out: Folder of the scenarios' result folders, where finished episodes are kept.
            own: Your own policies by name.
            known: Results of reference policies that are not played again.
            workers: How many are played at once, as for `compare`.
            engine: Where they are played, as for `compare`.
            progress: Called with the numbers of finished and of all episodes.

        Raises:
            ValueError, TypeError, OSError: As `compare` does.
        """
        there = () if known is None else known.values
        missing = [*evaluated, *(name for name in self.references if name not in there and name not in evaluated)]
        if known is not None and not missing:
            return known
        how: dict[str, Any] = {"own": own, "workers": workers, "engine": engine, "progress": progress}
        finals = play(self.scenarios, missing, self.seeds, out, **how)
        rounds = {name: policy.training_rounds for name, policy in own.items() if hasattr(policy, "training_rounds")}
        finals = replace(finals, training_rounds=rounds)
        if known is not None:
            finals = finals.joined(known)
        if self.suite is not None:
            with one_writer(out):
                write_finals(out / FILE, finals, self.suite)
        return finals
