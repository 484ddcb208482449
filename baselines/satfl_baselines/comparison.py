"""Comparing policies on a scenario: every policy plays the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from satfl_baselines.evaluate import Decide, Episode, Run, play_all
from satfl_baselines.policies import make_policy, policy_names
from satfl_baselines.results import ResultFolder
from satfl_baselines.summary import Comparison
from satfl_env.scenarios import Scenario

if TYPE_CHECKING:
    from satfl_env import RewardChoice


def compare(
    scenario: Scenario,
    policies: Sequence[str],
    seeds: Sequence[int],
    folder: ResultFolder,
    *,
    own: Mapping[str, Decide] = MappingProxyType({}),
    parts: Mapping[str, Any] | None = None,
    reward: RewardChoice | None = None,
    workers: int = 1,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> Comparison:
    """Play the episodes that are not yet in the folder, save each as soon as it is finished, and compare all.

    Args:
        scenario: The scenario, the same that the folder was opened for.
        policies: Names of policies, in the registry or in `own`, distinct.
        seeds: Seeds that every policy plays, distinct.
        folder: Where episodes are kept.
        own: Your own policies: functions that keep no state between episodes. The folder identifies them by their
            qualified names only: a function that has changed needs another name or another folder.
        parts: Your own parts in place of the scenario's, the same that the folder was opened for.
        reward: Reward that episodes are judged by, as for the environment; the same that the folder was opened for.
        workers: Processes to play them in; with more than one, own policies, parts and rewards are of a module, and a
            script starts under `if __name__ == "__main__":`.
        progress: Called with the numbers of finished and of all episodes whenever the first changes.

    Raises:
        ValueError: If an own policy has the name of one in the registry, or a name is in neither; if the folder was
            opened for other parts or another reward, or knows another function by that name; if there are several
            workers and an own policy, part or reward cannot be pickled for them.
    """
    _check_names(policies, own)
    folder.enter(own, parts, reward)
    runs = [Run(policy, seed) for seed in seeds for policy in policies]
    episodes: dict[Run, Episode] = {run: folder.load(run) for run in runs if folder.has(run)}
    progress(len(episodes), len(runs))
    missing = [run for run in runs if run not in episodes]
    for run, episode in play_all(scenario, missing, own=own, parts=parts, reward=reward, workers=workers):
        folder.save(run, episode)
        episodes[run] = episode
        progress(len(episodes), len(runs))
    return Comparison(tuple(policies), tuple(seeds), episodes)


def _check_names(policies: Sequence[str], own: Mapping[str, Decide]) -> None:
    for name in own:
        if name in policy_names():
            raise ValueError(f"own policy {name!r} has the name of one in the registry; choose another")
    for name in policies:
        if name not in own:
            make_policy(name)
