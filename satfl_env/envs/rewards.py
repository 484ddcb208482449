"""Named reward terms, each a pure function of what happened in a round; more is always better.

The reward is their weighted sum. Costs count negative already, so that a positive weight is a price.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping

from satfl_env.simulation import RoundReport


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


TERMS: Mapping[str, Callable[[RoundReport], float]] = {
    "loss_drop": loss_drop,
    "energy_j": energy_j,
    "time_s": time_s,
    "lost_updates": lost_updates,
}

DEFAULT_WEIGHTS: Mapping[str, float] = {"loss_drop": 1.0, "energy_j": 0.0, "time_s": 0.0, "lost_updates": 0.0}


def reward_weights(changes: Mapping[str, float] | None) -> dict[str, float]:
    """The default weights with some of them changed.

    Raises:
        ValueError: If a term does not exist, or a weight is negative or not finite.
    """
    weights = {**DEFAULT_WEIGHTS, **(changes or {})}
    for name, weight in weights.items():
        if name not in TERMS:
            raise ValueError(f"unknown reward term {name!r}{_near(name)}; there are: {', '.join(TERMS)}")
        if not math.isfinite(weight) or weight < 0:
            raise ValueError(
                f"the weight of reward term {name!r} must be finite and not negative (costs count negative already), "
                f"got {weight}"
            )
    return weights


def reward_terms(report: RoundReport) -> dict[str, float]:
    """All terms of a round, without their weights."""
    return {name: term(report) for name, term in TERMS.items()}


def weighted_sum(terms: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The reward: the sum of weight times term."""
    return sum(weights[name] * value for name, value in terms.items())


def _near(name: str) -> str:
    matches = difflib.get_close_matches(name, TERMS, n=1)
    return f", did you mean {matches[0]!r}?" if matches else ""
