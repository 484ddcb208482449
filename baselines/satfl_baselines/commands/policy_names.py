"""Policies as command lines name them.

Names are of the registry, `MODULE:FUNCTION` for your own, `FILE.yaml` for a tuned rule, or known to another package.
That says so by an entry point of the group `satfl.policies`: a function that takes a name and returns the policy, or
None if the name is none of its.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from satfl_env.builtin import is_file
from satfl_env.commands import import_object

if TYPE_CHECKING:
    from satfl_baselines.evaluate import Decide

FINDERS = "satfl.policies"
OTHERS = "folders or names of trained ones (`satfl list trained`), files of tuned rules, or your own as MODULE:FUNCTION"
# For the help of commands.
KINDS = f"names of `satfl list policies`, {OTHERS}"


def complete_policies(incomplete: str) -> list[str]:
    """Lists of policies, separated by commas, that begin with the given text."""
    from satfl_baselines.policies import policy_names

    return complete_names(incomplete, policy_names())


def complete_names(incomplete: str, names: Iterable[str]) -> list[str]:
    """Lists of some names, separated by commas, that begin with the given text."""
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [before + comma + name for name in names if name.startswith(last) and name not in given]


def split_names(text: str) -> tuple[str, ...]:
    """Distinct names of a comma-separated list."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def parse_policies(text: str, scenario: str) -> tuple[str, ...]:
    """Distinct names of a comma-separated list; all that the registry has for the scenario if it is empty."""
    from satfl_baselines.policies import policy_names

    return split_names(text) or policy_names(scenario)


def own_policies(names: Iterable[str]) -> Mapping[str, Decide]:
    """The policies among some names that are not in the registry.

    Raises:
        ValueError: If nobody knows a name, a module has no such policy, or the files of one are damaged.
    """
    from satfl_baselines.policies import policy_names

    found = ((name, _found(name)) for name in names if name not in policy_names())
    return {name: policy for name, policy in found if policy is not None}


def _found(name: str) -> Decide | None:
    if ":" in name and not Path(name).is_dir():
        own: Decide = import_object(name)
        return own
    if is_file(name):
        from satfl_baselines.tuning.tuned import policy_in

        return policy_in(name)
    policies = (finder.load()(name) for finder in entry_points(group=FINDERS))
    policy = next((policy for policy in policies if policy is not None), None)
    if policy is None:
        _require_known(name)
    return policy


def _require_known(name: str) -> None:
    from satfl_baselines.policies import check_policy_name

    try:
        check_policy_name(name)
    except ValueError as error:
        raise ValueError(f"{error}; others are {OTHERS}") from None
