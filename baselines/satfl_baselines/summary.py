"""Means and intervals over seeds: what a comparison of policies says in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from satfl_baselines.arrays import FloatArray
from satfl_baselines.evaluate import COSTS, NOT_PLAYED, Episode, Run
from satfl_env import primary_metrics

NOT_METRICS = {"round", "time_s", "test_loss", "clusters", *NOT_PLAYED}
# Between a quantity and the task it is of.
OF = "/"


@dataclass(frozen=True, eq=False)
class Estimate:
    """Means over seeds and half widths of their 95 % t-intervals, of one shape; NaN half widths with a single seed."""

    mean: FloatArray
    half_width: FloatArray

    @classmethod
    def of(cls, samples: FloatArray) -> Estimate:
        """Estimate from independent samples along the first axis."""
        number, mean = len(samples), samples.mean(axis=0)
        if number < 2:
            return cls(mean, np.full_like(mean, np.nan))
        return cls(mean, stats.t.ppf(0.975, number - 1) * stats.sem(samples, axis=0))

    def verdict(self) -> str:
        """Whether one mean is positive: "yes" or "no, the reverse" if its interval leaves out 0, else "not decided"."""
        # NaN, of a single seed or where nothing could be measured, decides nothing either.
        if not abs(self.mean) > self.half_width:
            return "not decided"
        return "yes" if self.mean > 0 else "no, the reverse"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Finished episodes of some policies on the same seeds.

    If a target ended some episodes earlier than others, they stay at their last record, at no further cost, until the
    round in which the longest one ends.

    Attributes:
        policies: Names of the policies; differences are taken to the first.
        seeds: The seeds, the same for every policy.
        episodes: The episode of every policy and seed.
    """

    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    episodes: Mapping[Run, Episode]

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what is recorded every round."""
        return tuple(self.episodes[Run(self.policies[0], self.seeds[0])][0])

    @property
    def metrics(self) -> tuple[str, ...]:
        """All test metrics, means over satellites."""
        return tuple(name for name in self.quantities if name not in NOT_METRICS and OF not in name)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, if the satellites have any."""
        prefix = f"test_loss{OF}"
        return tuple(name.removeprefix(prefix) for name in self.quantities if name.startswith(prefix))

    @property
    def primary(self) -> tuple[str, ...]:
        """The metrics that judge a policy, as `satfl_env.primary_metrics` says."""
        return primary_metrics(self.metrics)

    @property
    def rounds(self) -> int:
        """Rounds of the longest episode."""
        return max(len(episode) for episode in self.episodes.values()) - 1

    def rounds_played(self, policy: str) -> FloatArray:
        """Rounds until the end of each of a policy's episodes, (seeds,)."""
        return np.array([len(self.episodes[Run(policy, seed)]) - 1.0 for seed in self.seeds])

    def curves(self, policy: str) -> dict[str, FloatArray]:
        """Everything recorded about a policy, each (seeds, rounds + 1)."""
        episodes = [_held(self.episodes[Run(policy, seed)], self.rounds) for seed in self.seeds]
        return {
            name: np.array([[record[name] for record in episode] for episode in episodes]) for name in self.quantities
        }

    def outcomes(self, policy: str) -> dict[str, FloatArray]:
        """The outcomes of a policy's episodes, each (seeds,).

        Final `test_loss`, metrics and number of `clusters`, also task by task; the primary metrics' means over all
        trained rounds as `mean_<metric>`; simulated `time_s`; and over the whole episode `energy_j`, updates `lost`,
        how often satellites had each `Outcome`, by its name in small letters, tests of models that gave no number
        (`untestable`), `epochs`, `batches`, `download_bits` and `upload_bits`, the `return` (the sum of the rewards),
        and its number of `rounds`.
        """
        curves = self.curves(policy)
        by_task = [name for name in self.quantities if OF in name]
        return {
            **{name: curves[name][:, -1] for name in (*self.metrics, "test_loss", "time_s", "clusters", *by_task)},
            **{f"mean_{name}": curves[name][:, 1:].mean(axis=1) for name in self.primary},
            **{name: curves[name].sum(axis=1) for name in COSTS},
            "return": curves["reward"].sum(axis=1),
            "rounds": self.rounds_played(policy),
        }

    def estimates(self, policy: str) -> dict[str, Estimate]:
        """Estimates of a policy's outcomes.

        They include the differences of its primary metrics to the first policy's, seed by seed: `<metric>_difference`.
        """
        own, first = self.outcomes(policy), self.outcomes(self.policies[0])
        differences = {f"{name}_difference": own[name] - first[name] for name in self.primary}
        return {name: Estimate.of(samples) for name, samples in (own | differences).items()}


def _held(episode: Episode, rounds: int) -> Episode:
    """An episode that stays at its last record until some round."""
    return episode + [episode[-1] | NOT_PLAYED | {"round": float(index)} for index in range(len(episode), rounds + 1)]
