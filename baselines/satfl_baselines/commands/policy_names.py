"""Policies as command lines name them.

Names are of the registry, `MODULE:FUNCTION` for your own, or known to another package, which says so by an entry point
of the group `satfl.policies`: a function that takes a name and returns the policy, or None if the name is none of its.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from satfl_env.commands import import_object

if TYPE_CHECKING:
    from satfl_baselines.evaluate import Decide

FINDERS = "satfl.policies"


def complete_policies(incomplete: str) -> list[str]:
    """Lists of policies, separated by commas, that begin with the given text."""
    from satfl_baselines.policies import policy_names

    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [before + comma + name for name in policy_names() if name.startswith(last) and name not in given]


def parse_policies(text: str) -> tuple[str, ...]:
    """Distinct names of a comma-separated list, all of the registry if it is empty."""
    from satfl_baselines.policies import policy_names

    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip())) or policy_names()


def own_policies(names: Iterable[str]) -> Mapping[str, Decide]:
    """The policies among some names that are not in the registry; names that nobody knows are left to it to refuse.

    Raises:
        ValueError: If a module has no such policy, or the files of one are damaged.
    """
    from satfl_baselines.policies import policy_names

    found = ((name, _found(name)) for name in names if name not in policy_names())
    return {name: policy for name, policy in found if policy is not None}


def _found(name: str) -> Decide | None:
    if ":" in name and not Path(name).is_dir():
        own: Decide = import_object(name)
        return own
    policies = (finder.load()(name) for finder in entry_points(group=FINDERS))
    return next((policy for policy in policies if policy is not None), None)
