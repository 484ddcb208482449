"""The reward: a weighted sum of named terms, each a function of what happened in a round; more is always better.

Costs are negative already, so a positive weight penalises them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from satfl_env.arguments import as_number
from satfl_env.simulation import RoundReport
from satfl_env.suggestions import did_you_mean

if TYPE_CHECKING:
    from satfl_env.scenarios import Scenario, Target

FloatArray = NDArray[np.float64]
Term = Callable[[RoundReport], float]
RewardChoice = Term | Mapping[str | Term, float]


def metric_gain(report: RoundReport, metric: str | None = None) -> float:
    """Rise of the mean test metric over the round; over an episode it telescopes to last minus first metric.

    Args:
        report: The round.
        metric: Name of the metric; None takes the headline.
    """
    return _mean(report.metrics, metric) - _mean(report.metrics_before, metric)


def final_metric(report: RoundReport, metric: str | None = None) -> float:
    """The mean test metric at the end of an episode, 0 in all rounds before; arguments as for `metric_gain`."""
    return _mean(report.metrics, metric) if report.last else 0.0


def loss_drop(report: RoundReport) -> float:
    """Mean test loss before the round minus after it; over an episode it telescopes to first minus last loss."""
    return float(report.test_loss_before.mean() - report.test_loss.mean())


def energy_j(report: RoundReport) -> float:
    """Minus the energy all satellites spent on training and transmission, in J."""
    return -float(report.energy_j.sum())


def time_s(report: RoundReport) -> float:
    """Minus the duration of the round, in s."""
    return -report.duration_s


def lost_updates(report: RoundReport) -> float:
    """Minus the number of satellites that were associated but whose update was lost."""
    return -float(report.lost.sum())


# Each term's function and default weight.
TERMS: dict[str, tuple[Term, float]] = {
    "metric_gain": (metric_gain, 1.0),
    "final_metric": (final_metric, 0.0),
    "loss_drop": (loss_drop, 0.0),
    "energy_j": (energy_j, 0.0),
    "time_s": (time_s, 0.0),
    "lost_updates": (lost_updates, 0.0),
}

# These use the scenario's target metric, if it has one.
_JUDGING = (metric_gain, final_metric)


def primary_metrics(metrics: Iterable[str]) -> tuple[str, ...]:
    """The metrics that judge: the balanced accuracy of tasks, all there are (PSNR, MS-SSIM) for images."""
    names = tuple(metrics)
    return ("balanced_accuracy",) if "balanced_accuracy" in names else names


def judging_metric(metrics: Iterable[str], target: Target | None = None) -> str:
    """The one metric that judges: that of the scenario's target, else the headline, the first of the primary ones."""
    return primary_metrics(metrics)[0] if target is None else target.metric


class Reward:
    """The weighted sum of the terms of `TERMS` and of your own ones, times a scale.

    Args:
        choice: A function `RoundReport -> float` is the whole reward. A mapping changes the default weights: its keys
            are names of terms or functions `RoundReport -> float`, its values their weights. A function's term is named
            by its `__name__`. None takes the default weights.
        metric: Metric that `metric_gain` and `final_metric` take; None takes the headline.
        scale: Factor of the whole reward, positive, so that it changes which policy is best in no way.

    Raises:
        TypeError: If the choice has another form.
        ValueError: If a term does not exist or two have one name, if a weight is not finite, or the weight of a term of
            the table is negative.
    """

    def __init__(self, choice: RewardChoice | None = None, metric: str | None = None, scale: float = 1.0) -> None:
        table = dict(TERMS)
        self.scale = scale
        self._terms = {
            name: partial(term, metric=metric) if metric is not None and term in _JUDGING else term
            for name, (term, _) in table.items()
        }
        self._own: dict[str, Term] = {}
        self.weights = {name: 0.0 if callable(choice) else weight for name, (_, weight) in table.items()}
        for key, weight in _weighted(choice):
            if not callable(key):
                self.weights[key] = _checked_weight(_known(key, table), weight, lowest=0.0)
                continue
            name = getattr(key, "__name__", type(key).__name__)
            if name in self.weights:
                raise ValueError(f"two reward terms have the name {name!r}: give the function another __name__")
            self._own[name], self.weights[name] = key, _checked_weight(name, weight)

    @classmethod
    def of(cls, scenario: Scenario, choice: RewardChoice | None = None) -> Reward:
        """The reward in a scenario: judged by the metric of its target, on its scale; errors as of the class."""
        target = scenario.target
        return cls(choice, None if target is None else target.metric, scenario.reward_scale)

    def terms(self, report: RoundReport, *, ended: bool = False) -> dict[str, float]:
        """All terms of a round, without their weights.

        Args:
            report: The round.
            ended: Whether the episode ended with it, as by a target, of which the simulation knows nothing.

        Raises:
            TypeError: If a function of your own does not return a number.
            ValueError: If a function of your own returns NaN or infinity.
        """
        report = replace(report, last=True) if ended else report
        values = {name: term(report) for name, term in self._terms.items()}
        return values | {name: _finite(name, term(report)) for name, term in self._own.items()}

    def total(self, terms: Mapping[str, float]) -> float:
        """The reward: the sum of weight times term, times the scale.

        Raises:
            ValueError: If it, or a term with a weight, is not finite.
        """
        weighted = sum(weight * _finite(name, terms[name]) for name, weight in self.weights.items() if weight)
        total = self.scale * weighted
        if not math.isfinite(total):
            raise ValueError(f"the reward must be finite, got {total} from the terms {dict(terms)}; lower the weights")
        return total


def _mean(metrics: Mapping[str, FloatArray], name: str | None) -> float:
    return float(metrics[judging_metric(metrics) if name is None else name].mean())


def _weighted(choice: object) -> list[tuple[Any, Any]]:
    """The terms chosen and their weights."""
    if choice is None:
        return []
    if callable(choice):
        return [(choice, 1.0)]
    if isinstance(choice, Mapping):
        return list(choice.items())
    raise TypeError(
        "reward must be a function RoundReport -> float, or a mapping of names of terms or such functions to weights, "
        f"got {choice!r}"
    )


def _known(name: object, table: Mapping[str, object]) -> str:
    if isinstance(name, str) and name in table:
        return name
    raise ValueError(f"unknown reward term {name!r}{did_you_mean(str(name), table)}; there are: {', '.join(table)}")


def _checked_weight(name: str, weight: object, lowest: float = -math.inf) -> float:
    number = as_number(weight)
    if not math.isfinite(number) or number < lowest:
        rule = "finite" if lowest == -math.inf else "finite and not negative (costs count negative already)"
        raise ValueError(f"the weight of reward term {name!r} must be {rule}, got {weight!r}")
    return number


def _finite(name: str, value: object) -> float:
    """A term as a finite number."""
    number = np.asarray(value)
    if number.shape != () or number.dtype.kind not in "biuf":
        raise TypeError(f"reward term {name!r} must give a number, got {value!r}")
    if not np.isfinite(number):
        raise ValueError(f"reward term {name!r} must give a finite number, got {value!r}")
    return float(number)
