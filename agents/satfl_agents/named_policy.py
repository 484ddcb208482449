"""Trained policies by the names and folders that commands of other packages take."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from satfl_agents.policies.folders import DESCRIPTION, policy_folder, pretrained_folders

if TYPE_CHECKING:
    from satfl_agents.policies.trained import TrainedPolicy
    from satfl_env import Decision, NetworkState


@dataclass(frozen=True)
class NamedPolicy:
    """A trained policy that each process loads for itself, and that results know by its weights.

    Attributes:
        name: Its folder, or its name in the package.
        weights: SHA-256 of its weights.
        training_rounds: Rounds that it was trained on.
    """

    name: str
    weights: str
    training_rounds: int

    def __call__(self, state: NetworkState) -> Decision:
        """Decide on the round that is about to begin."""
        return _loaded(self)(state)


def find_policy(name: str) -> NamedPolicy | None:
    """The trained policy of a name or folder; None if there is none.

    Raises:
        ValueError: If its files are damaged.
        ModuleNotFoundError: If the learners' libraries are not installed.
    """
    folder = policy_folder(name)
    if folder is None:
        return None
    # The public name, which says what to install where the learners' libraries are missing.
    from satfl_agents import load_policy
    from satfl_agents.policies.files import read_description

    load_policy(folder)  # what is damaged is told before anything is played
    description = read_description(folder)
    return NamedPolicy(name, description.weights, description.rounds)


def list_trained() -> Iterable[tuple[str, str]]:
    """Policies that come with the package, for `satfl list`; it needs no learner's library."""
    for folder in pretrained_folders():
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        told = f"{description['algorithm']} on {description['scenario']['name']}, {description['rounds']:,} rounds"
        yield folder.name, told


@cache
def _loaded(policy: NamedPolicy) -> TrainedPolicy:
    from satfl_agents.policies.files import load_policy

    return load_policy(policy.name)
