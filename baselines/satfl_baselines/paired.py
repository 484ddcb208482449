"""Two result folders seed by seed: what a change of the scenario does to the same policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from satfl_baselines.arrays import FloatArray
from satfl_baselines.evaluate import Episode, Run
from satfl_baselines.statistics import Interval, interval, mean, win_rate
from satfl_baselines.summary import Comparison

# Told beside the primary metrics.
BESIDE_METRICS = ("time_s", "energy_j", "lost")
# Values that differ by less than this share of them are equal: sums of the same numbers in another order.
ROUNDING = 1e-12


class Change(NamedTuple):
    """How a policy's outcome differs between two folders, on the seeds that it finished in both.

    Attributes:
        policy: The policy.
        quantity: The outcome.
        seeds: Number of seeds.
        first: Its mean in the first folder.
        second: Its mean in the second one.
        difference: Mean of the second less the first, paired by seed.
        rises: Share of seeds on which the second is higher; a tie counts half.
    """

    policy: str
    quantity: str
    seeds: int
    first: float
    second: float
    difference: Interval
    rises: float


def changes(first: Mapping[Run, Episode], second: Mapping[Run, Episode]) -> list[Change]:
    """Changes of the primary metrics and of the costs of each policy that finished a seed in both folders.

    Raises:
        ValueError: If there is none, or the folders have no primary metric in common.
    """
    common = [run for run in first if run in second]
    found = []
    for policy in dict.fromkeys(run.policy for run in common):
        seeds = tuple(run.seed for run in common if run.policy == policy)
        one, other = (Comparison((policy,), seeds, episodes) for episodes in (first, second))
        primary = [metric for metric in one.primary if metric in other.primary]
        if not primary:
            raise ValueError(f"no metric in common: {', '.join(one.primary)} and {', '.join(other.primary)}")
        outcomes, others = one.outcomes(policy), other.outcomes(policy)
        for quantity in (*primary, *BESIDE_METRICS):
            before, after = outcomes[quantity], others[quantity]
            difference = _difference(before, after)[:, None]
            found.append(
                Change(
                    policy,
                    quantity,
                    len(seeds),
                    float(before.mean()),
                    float(after.mean()),
                    interval(mean, difference),
                    float(win_rate(difference)),
                )
            )
    if not found:
        raise ValueError("no policy finished the same seed in both")
    return found


def alone(first: Mapping[Run, Episode], second: Mapping[Run, Episode]) -> Mapping[str, int]:
    """How many seeds each policy finished in the first folder and not in the second one."""
    return Counter(run.policy for run in first if run not in second)


def _difference(before: FloatArray, after: FloatArray) -> FloatArray:
    """The second values less the first, 0 where rounding alone tells them apart."""
    return np.where(np.isclose(before, after, rtol=ROUNDING, atol=0.0), 0.0, after - before)
