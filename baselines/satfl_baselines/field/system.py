"""Systems of satellite federated learning as files: a policy, and what is different in the scenario that all share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from satfl_env.scenarios import Scenario, load
from satfl_env.scenarios.errors import ScenarioError, prefixed
from satfl_env.scenarios.explain import problem_lines
from satfl_env.scenarios.reader import read_yaml
from satfl_env.scenarios.section import Section
from satfl_env.suggestions import did_you_mean

SCENARIO = "field"
# Averages all updates of a round: what other systems are compared with. It comes first.
BASELINE = "fedavg"
_FOLDER = resources.files("satfl_baselines.field").joinpath("systems")


class System(Section):
    """A system of the field.

    Attributes:
        name: Its name, that of its file.
        title: What it is, in a few words.
        source: The paper that it is from.
        policy: Its policy: a name of the registry, or `MODULE:FUNCTION`.
        settings: What it changes in the scenario `field`, by dotted name as in overrides: a round protocol, a server
            rule, compression; gateways, access or computers only where the system is about these.
        against: The system that the table compares it with.
        claim: What the paper claims.
        chosen: What was chosen where the paper leaves it open, and what is simpler here.
    """

    name: str
    title: str
    source: str
    policy: str
    settings: Mapping[str, Any] = {}
    against: str = BASELINE
    claim: str
    chosen: str = ""

    def scenario(self, changes: Mapping[str, Any]) -> Scenario:
        """The scenario that it plays, with changes that hold for all systems.

        Raises:
            ScenarioError: If a change is of what the system itself sets, or they do not go together; the message names
                the system.
        """
        for change, own in product(changes, self.settings):
            if _overlap(change, own):
                raise ScenarioError(f"system {self.name!r}: {change!r} cannot be changed, its file sets {own!r}")
        try:
            return load(SCENARIO, **changes, **self.settings)
        except ScenarioError as error:
            problems = " ".join(map(str.strip, str(error).splitlines()))
            raise ScenarioError(f"system {self.name!r}: {problems}") from error


def system_names() -> tuple[str, ...]:
    """Names of all systems, sorted, the baseline first."""
    names = {Path(file.name).stem for file in _FOLDER.iterdir() if file.name.endswith(".yaml")}
    return (BASELINE, *sorted(names - {BASELINE}))


def load_systems(names: Sequence[str] = ()) -> tuple[System, ...]:
    """Some of the systems in the order of their names, all if none are given.

    Raises:
        ValueError: If there is no such system, or its file is not valid; the message names it.
    """
    for name in names:
        _require_known(name)
    return tuple(_read(name) for name in system_names() if name in names or not names)


def _read(name: str) -> System:
    with prefixed(f"system {name!r}: "):
        raw = read_yaml(_FOLDER.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
        try:
            system = System.model_validate({"name": name, **raw})
        except ValidationError as error:
            raise ValueError(problem_lines(error, root=System)[0]) from error
        _require_known(system.against)
        return system


def _require_known(name: str) -> None:
    known = system_names()
    if name not in known:
        raise ValueError(f"unknown system {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}")


def _overlap(one: str, other: str) -> bool:
    """Whether one of two dotted names is the other, or a field inside it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
