"""Suites as files: which scenarios, seeds and reference policies; a checksum guards those that are frozen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from satfl_baselines.policies import check_policy_name
from satfl_baselines.seeds import HELD_OUT
from satfl_env.builtin import is_file, require_scenario, yaml_text
from satfl_env.paths import expanded
from satfl_env.scenarios import Scenario, load
from satfl_env.scenarios.errors import prefixed
from satfl_env.scenarios.explain import problem_lines
from satfl_env.scenarios.reader import decode, read_yaml
from satfl_env.scenarios.section import Section
from satfl_env.suggestions import did_you_mean

_FOLDER = resources.files("satfl_baselines.suites")
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class Suite(Section):
    """What a file says that policies are judged on, the same for everybody.

    Attributes:
        name: Its name.
        scenarios: Names of built-in scenarios.
        seeds: How many held-out seeds every policy plays in each.
        zero: The reference policy whose mean metric in a scenario is a score of 0.
        one: The one whose mean metric is a score of 1.
        references: Policies of the registry that all others are compared with.
        budgets: Rounds that a learned policy of each class may be trained on.
        checksum: The digest that it is frozen with; empty if it is not frozen.
    """

    name: str
    scenarios: Names
    seeds: Annotated[int, Field(ge=1, le=10_000)]
    zero: str
    one: str
    references: Names
    budgets: Mapping[str, Annotated[int, Field(ge=1)]] = {}
    checksum: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.scenarios:
            if is_file(name):
                raise ValueError(f"scenarios must be built in, got {name!r}")
            require_scenario(name)
        for name in self.references:
            check_policy_name(name)
        for field in ("scenarios", "references"):
            names = getattr(self, field)
            if len(set(names)) < len(names):
                raise ValueError(f"{field} must be distinct, got {', '.join(names)}")
        for field in ("zero", "one"):
            if getattr(self, field) not in self.references:
                raise ValueError(f"{field} must be one of the references, got {getattr(self, field)!r}")
        return self

    @property
    def held_out(self) -> tuple[int, ...]:
        """Its seeds."""
        return tuple(HELD_OUT[: self.seeds])

    def loaded(self) -> Mapping[str, Scenario]:
        """Its scenarios by name."""
        return {name: load(name) for name in self.scenarios}

    @cached_property
    def digest(self) -> str:
        """Of its fields and of what the files of its scenarios say; comments do not count."""
        fields = self.model_dump(mode="json", exclude_unset=True, exclude={"checksum"})
        scenarios = {name: read_yaml(yaml_text(name)) for name in self.scenarios}
        content = json.dumps([fields, scenarios], sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def budget(self, rounds: int) -> str:
        """The smallest class whose budget covers some rounds of training; empty if there is none."""
        fitting = [name for name, most in self.budgets.items() if rounds <= most]
        return min(fitting, key=self.budgets.__getitem__, default="")


def suite_names() -> tuple[str, ...]:
    """Names of the suites that come with the package."""
    return tuple(sorted(Path(file.name).stem for file in _FOLDER.iterdir() if file.name.endswith(".yaml")))


def recorded_file(name: str) -> Path:
    """The file with what the reference policies of a suite of the package got; there need not be one."""
    return Path(str(_FOLDER / f"{name}.json"))


def load_suite(name_or_path: str) -> Suite:
    """A suite of the package by name, or one of your own from a `.yaml` file.

    Raises:
        ValueError: If there is none, its file is not valid, or it is frozen and was changed; the message names it.
        OSError: If the file cannot be read.
    """
    with prefixed(f"suite {name_or_path!r}: "):
        raw = read_yaml(_text(name_or_path))
        try:
            suite = Suite.model_validate(raw)
        except ValidationError as error:
            raise ValueError(problem_lines(error, root=Suite)[0]) from error
        if suite.checksum not in ("", suite.digest):
            raise ValueError(
                f"it is frozen with the checksum {suite.checksum}, but it or a scenario of it was changed and has "
                f"{suite.digest} now; make another suite for a change"
            )
    return suite


def _text(name_or_path: str) -> str:
    if Path(name_or_path).suffix.lower() in {".yaml", ".yml"}:
        return decode(expanded(name_or_path).read_bytes())
    known = suite_names()
    if name_or_path not in known:
        raise ValueError(f"there is none{did_you_mean(name_or_path, known)}; there are: {', '.join(known)}")
    return _FOLDER.joinpath(f"{name_or_path}.yaml").read_text(encoding="utf-8")
