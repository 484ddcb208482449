"""Rules as YAML files: the numbers, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from satfl_baselines.files import write_yaml
from satfl_baselines.rule import RuleNumbers
from satfl_env.paths import expanded
from satfl_env.scenarios.errors import prefixed
from satfl_env.scenarios.explain import problem_lines
from satfl_env.scenarios.reader import decode, read_yaml
from satfl_env.scenarios.section import Section


class RuleFile(Section):
    """What a file says of a rule.

    Attributes:
        scenario: Name of the scenario that it was tuned on.
        numbers: The numbers that differ from those of the policy `full`.
        found: How they were found, and what they got.
    """

    scenario: str
    numbers: RuleNumbers
    found: Mapping[str, Any] = {}


def read_rule(path: str | Path) -> RuleFile:
    """The rule of a YAML file.

    Raises:
        ValueError: If the file is not valid; the message names it and the field.
        OSError: If it cannot be read.
    """
    with prefixed(f"rule {str(path)!r}: "):
        raw = read_yaml(decode(expanded(str(path)).read_bytes()))
        try:
            return RuleFile.model_validate(raw)
        except ValidationError as error:
            raise ValueError(problem_lines(error, root=RuleFile)[0]) from error


def write_rule(path: Path, rule: RuleFile) -> None:
    """Write a rule as YAML, whole or not at all."""
    write_yaml(path, rule.model_dump(mode="json"), "# Made by `satfl tune-rules`.\n")
