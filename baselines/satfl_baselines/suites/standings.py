"""How policies stand beside each other, and beside the best rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from satfl_baselines.arrays import FloatArray
from satfl_baselines.statistics import (
    Interval,
    columns,
    interquartile_mean,
    interval,
    mean,
    probability_of_improvement,
    win_rate,
)


class Standing(NamedTuple):
    """What a policy got, and how it compares with the best rule.

    Attributes:
        policy: Its name.
        best: The best rule.
        mean: Mean of its values.
        iqm: Their interquartile mean.
        difference: Mean difference to the best rule, paired by seed and scenario.
        win_rate: Share of these pairs that the policy wins.
        improvement: How probably a run of the policy beats one of the best rule, on any two seeds.
    """

    policy: str
    best: str
    mean: Interval
    iqm: Interval
    difference: Interval
    win_rate: float
    improvement: Interval

    def row(self) -> dict[str, Any]:
        """Its numbers by name, with the bounds of intervals as `<name>_low` and `<name>_high`."""
        return columns(self._asdict())


def best_rule(values: Mapping[str, FloatArray], rules: Iterable[str]) -> str:
    """The rule with the highest mean."""
    return max(rules, key=lambda rule: float(values[rule].mean()))


def standings(values: Mapping[str, FloatArray], rules: Iterable[str]) -> list[Standing]:
    """The standing of each policy, the highest mean first.

    Args:
        values: Metrics or scores of each policy, (seeds, scenarios).
        rules: The policies of which the best is compared with. It is the best on these same seeds, so that the
            comparison favours it.
    """
    best = best_rule(values, rules)
    found = [_standing(policy, own, best, values[best]) for policy, own in values.items()]
    return sorted(found, key=lambda standing: -standing.mean.value)


def _standing(policy: str, own: FloatArray, best: str, of_best: FloatArray) -> Standing:
    difference = own - of_best
    return Standing(
        policy,
        best,
        interval(mean, own),
        interval(interquartile_mean, own),
        interval(mean, difference),
        float(win_rate(difference)),
        interval(probability_of_improvement, own, of_best),
    )
