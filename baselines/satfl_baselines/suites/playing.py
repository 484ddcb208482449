"""Policies on every scenario of a suite, each in a result folder of its own, as `compare` plays them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from satfl_baselines.arrays import FloatArray
from satfl_baselines.comparison import compare
from satfl_baselines.evaluate import Decide
from satfl_baselines.jobs import EngineName
from satfl_baselines.suites.finals import Finals
from satfl_env import __version__, judging_metric
from satfl_env.scenarios import Scenario


def play(
    scenarios: Mapping[str, Scenario],
    policies: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    *,
    own: Mapping[str, Decide] | None = None,
    workers: int | None = None,
    engine: str = EngineName.PROCESSES,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> Finals:
    """Play the episodes that are not yet in the folder, and take the final metric of each.

    Args:
        scenarios: The scenarios by name.
        policies: Names of policies, in the registry or in `own`, distinct.
        seeds: Seeds that every policy plays, distinct.
        out: Folder of the scenarios' result folders.
        own: Your own policies by name.
        workers: How many are played at once, as for `compare`.
        engine: Where they are played, as for `compare`.
        progress: Called with the numbers of finished and of all episodes.

    Raises:
        ValueError, TypeError, OSError: As `compare` does.
    """
    each = len(policies) * len(seeds)
    metrics: dict[str, str] = {}
    columns: list[dict[str, FloatArray]] = []
    for index, (name, scenario) in enumerate(scenarios.items()):

        def advance(finished: int, _: int, before: int = index * each) -> None:
            progress(before + finished, len(scenarios) * each)

        how: dict[str, Any] = {"own": own, "workers": workers, "engine": engine}
        comparison = compare(scenario, policies, seeds, out / name, **how, progress=advance)
        metrics[name] = metric = judging_metric(comparison.metrics, scenario.target)
        columns.append({policy: comparison.outcomes(policy)[metric] for policy in policies})
    values = {policy: np.stack([column[policy] for column in columns], axis=1) for policy in policies}
    return Finals(metrics, tuple(seeds), values, dict.fromkeys(policies, __version__))
