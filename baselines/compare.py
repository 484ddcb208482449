"""Comparing policies on a scenario: every policy plays the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from baselines.evaluate import Episode, Run, play_all
from baselines.results import ResultFolder
from baselines.summary import Comparison
from satfl_env.scenarios import Scenario


def compare(
    scenario: Scenario,
    policies: Sequence[str],
    seeds: Sequence[int],
    folder: ResultFolder,
    *,
    workers: int = 1,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> Comparison:
    """Play what is not yet in the folder, keep every episode as soon as it is finished, and compare them.

    Args:
        scenario: The scenario, the same that the folder was opened for.
        policies: Names of policies in the registry, distinct.
        seeds: Seeds that every policy plays, distinct.
        folder: Where episodes are kept.
        workers: Processes to play them in.
        progress: Called with the numbers of finished and of all episodes whenever the first changes.
    """
    runs = [Run(policy, seed) for seed in seeds for policy in policies]
    episodes: dict[Run, Episode] = {run: folder.load(run) for run in runs if folder.has(run)}
    progress(len(episodes), len(runs))
    for run, episode in play_all(scenario, [run for run in runs if run not in episodes], workers=workers):
        folder.save(run, episode)
        episodes[run] = episode
        progress(len(episodes), len(runs))
    return Comparison(tuple(policies), tuple(seeds), episodes)
