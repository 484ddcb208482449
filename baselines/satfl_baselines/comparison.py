"""Comparing policies on a scenario: every policy plays the same seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satfl_baselines.evaluate import Decide, Episode, Run, loaded, play_all, require_function
from satfl_baselines.jobs import EngineName
from satfl_baselines.policies import make_policy, policy_names
from satfl_baselines.results import ResultFolder
from satfl_baselines.summary import Comparison
from satfl_baselines.tuning.tuned import TUNED
from satfl_env.scenarios import Scenario

if TYPE_CHECKING:
    from satfl_env import RewardChoice


def compare(
    scenario: Scenario | str | Path,
    policies: Sequence[str],
    seeds: Sequence[int],
    out: str | Path,
    *,
    own: Mapping[str, Decide] | None = None,
    parts: Mapping[str, Any] | None = None,
    reward: RewardChoice | None = None,
    workers: int | None = None,
    engine: str = EngineName.PROCESSES,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> Comparison:
    """Play the episodes that are not yet in a result folder, save each as soon as it is finished, and compare all.

    `summarise` writes tables and curves of the comparison into the same folder. The folder knows own policies, parts
    and rewards by their qualified names, and by the settings of dataclasses and `functools.partial`: after changing
    anything else in them, use another folder.

    Args:
        scenario: A scenario, its built-in name, or the path of a YAML file.
        policies: Names of policies, in the registry or in `own`, distinct.
        seeds: Seeds that every policy plays, distinct.
        out: The result folder, new or of the same comparison before; more policies and seeds can be added to it.
        own: Your own policies by name: functions that keep no state between episodes.
        parts: Your own parts in place of the scenario's.
        reward: Reward that episodes are judged by, as for the environment.
        workers: How many are played at once, each in a process of its own; None: one in this process, or as many as a
            cluster has cores. With several, own policies, parts and rewards are of a module, and a script starts under
            `if __name__ == "__main__":`.
        engine: Where they are played: "processes" of this machine, or "ray", a cluster of Ray; see
            `satfl_baselines.jobs`.
        progress: Called with the numbers of finished and of all episodes whenever the first changes.

    Raises:
        ValueError: If there are no policies or seeds, or not distinct ones; if an own policy has the name of one in the
            registry, or a name is in neither; if the scenario's target names no metric of the model, or a part does not
            go with the scenario; if the folder holds anything else than this comparison; if there are several workers
            and an own policy, part or reward cannot be pickled for them.
        TypeError: If an own policy is not a function, `policies` are one text, or a part has the wrong form.
        OSError: If the folder cannot be read or written.
    """
    scenario, own = loaded(scenario), own or {}
    scenario.checked_parts(parts)
    _check_names(policies=policies, seeds=seeds)
    _check_policies(policies, own, scenario)
    folder = ResultFolder(out, scenario, policies, seeds, own=own, parts=parts, reward=reward)
    runs = [Run(policy, seed) for seed in seeds for policy in policies]
    episodes: dict[Run, Episode] = {run: folder.load(run) for run in runs if folder.has(run)}
    progress(len(episodes), len(runs))
    missing = [run for run in runs if run not in episodes]
    brought: dict[str, Any] = {"own": own, "parts": parts, "reward": reward}
    for run, episode in play_all(scenario, missing, **brought, workers=workers, engine=engine):
        folder.save(run, episode)
        episodes[run] = episode
        progress(len(episodes), len(runs))
    return Comparison(tuple(policies), tuple(seeds), episodes)


def _check_names(**given: Sequence[Any]) -> None:
    for name, values in given.items():
        if isinstance(values, str):
            raise TypeError(f"{name} must be a list, got the text {values!r}")
        if not len(values):
            raise ValueError(f"{name} must not be empty")
        for value, times in Counter(values).items():
            if times > 1:
                raise ValueError(f"{name} must be distinct, got {value!r} {times} times")


def _check_policies(policies: Sequence[str], own: Mapping[str, Decide], scenario: Scenario) -> None:
    for name, policy in own.items():
        if name in (*policy_names(), TUNED):
            raise ValueError(f"own policy {name!r} has the name of one in the registry; choose another")
        require_function(f"own policy {name!r}", policy)
    for name in policies:
        if name not in own:
            make_policy(name, scenario=scenario.name)
