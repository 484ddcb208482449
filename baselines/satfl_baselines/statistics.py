"""Statistics of policies over seeds and scenarios, with the definitions of rliable.

Scores are (seeds, scenarios), the higher the better; leading axes are kept. Intervals come from the stratified
bootstrap: in each scenario seeds are drawn again by themselves, while the scenarios stay.

Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from satfl_baselines.arrays import FloatArray

RESAMPLES = 2000
COVERED_PERCENT = (2.5, 97.5)


class Interval(NamedTuple):
    """A statistic of some scores and the bounds of its 95 % interval, which are NaN with a single seed."""

    value: FloatArray
    low: FloatArray
    high: FloatArray

    def __format__(self, number: str) -> str:
        """The value with its bounds in brackets, each in a format of numbers; the value alone if there are none."""
        value, low, high = (format(float(one), number) for one in self)
        return value if np.isnan(self.low) else f"{value} [{low}, {high}]"


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a row of a table, with the bounds of intervals as `<name>_low` and `<name>_high`."""
    row: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Interval):
            row |= {name: float(value.value), f"{name}_low": float(value.low), f"{name}_high": float(value.high)}
        else:
            row[name] = value
    return row


def mean(scores: FloatArray) -> FloatArray:
    """Mean of all scores, (..., seeds, scenarios) -> (...)."""
    return np.asarray(scores.mean(axis=(-2, -1)))


def interquartile_mean(scores: FloatArray) -> FloatArray:
    """Mean of the middle half of all scores, (..., seeds, scenarios) -> (...)."""
    return np.asarray(stats.trim_mean(scores.reshape(*scores.shape[:-2], -1), 0.25, axis=-1))


def probability_of_improvement(one: FloatArray, other: FloatArray) -> FloatArray:
    """How probably a run of one policy beats one of another in the same scenario, on any two seeds; a tie counts half.

    It is Mann and Whitney's U over the number of pairs, averaged over scenarios. Takes (..., seeds, scenarios) twice,
    possibly of different numbers of seeds, and gives (...).
    """
    number, of_other = one.shape[-2], other.shape[-2]
    ranks = stats.rankdata(np.concatenate([one, other], axis=-2), axis=-2)[..., :number, :]
    u = ranks.sum(axis=-2) - number * (number + 1) / 2
    return np.asarray((u / (number * of_other)).mean(axis=-1))


def win_rate(difference: FloatArray) -> FloatArray:
    """Share of runs, paired by seed and scenario, whose difference is above 0; a tie counts half."""
    return mean(np.heaviside(difference, 0.5))


def performance_profile(scores: FloatArray, thresholds: FloatArray) -> FloatArray:
    """Share of all runs that score above each threshold, (..., seeds, scenarios) -> (..., thresholds)."""
    return np.asarray((scores[..., None] > thresholds).mean(axis=(-3, -2)))


def interval(statistic: Callable[..., FloatArray], *scores: FloatArray) -> Interval:
    """A statistic of scores with its interval, the percentiles of `RESAMPLES` stratified resamples.

    Several arrays of scores are drawn again independently; where seeds are paired, give their difference. The same
    scores give the same interval: the draws have a seed of their own.
    """
    value, rng = statistic(*scores), np.random.default_rng(0)
    if min(map(len, scores)) < 2:
        return Interval(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    resamples = statistic(*(_drawn_again(one, rng) for one in scores))
    return Interval(value, *np.percentile(resamples, COVERED_PERCENT, axis=0))


def _drawn_again(scores: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Resamples of scores, (RESAMPLES, seeds, scenarios)."""
    seeds = rng.integers(len(scores), size=(RESAMPLES, *scores.shape))
    return np.take_along_axis(scores[None], seeds, axis=1)
