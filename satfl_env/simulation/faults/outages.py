"""When satellites or gateways are out of order."""

from __future__ import annotations

from math import ceil
from typing import Self

import numpy as np
from pydantic.dataclasses import dataclass

from satfl_env.settings import STRICT, Positive
from satfl_env.simulation.state import BoolArray, FloatArray

# More failures of one thing than anyone means, which would only take memory.
_MOST_FAILURES = 10_000


class Outages:
    """When n things are out of order in an episode: a function of time, as orbits are.

    Args:
        switch_s: Times at which each of them fails and comes back in turn, ascending, (K, n); infinite where it stays
            as it is. All of them work at first.

    Raises:
        ValueError: If the times of a thing do not ascend.
    """

    def __init__(self, switch_s: FloatArray) -> None:
        if np.isnan(switch_s).any() or (switch_s[1:] < switch_s[:-1]).any():
            raise ValueError("switch_s must ascend along its first axis, without NaN")
        self._switch_s = switch_s

    @classmethod
    def never(cls, number: int) -> Self:
        """Things that always work."""
        return cls(np.empty((0, number)))

    def works(self, time_s: float) -> BoolArray:
        """Which of them work, (n,)."""
        return np.asarray((self._switch_s <= time_s).sum(axis=0) % 2 == 0)

    def next_failure_s(self, time_s: float) -> FloatArray:
        """When those that work fail next, and the others come back, (n,); infinite where never."""
        return np.asarray(np.where(self._switch_s > time_s, self._switch_s, np.inf).min(axis=0, initial=np.inf))

    def working_s(self, since_s: FloatArray, until_s: float) -> FloatArray:
        """How long each has worked since a time of its own, (n,) -> (n,); NaN stays NaN."""
        back_s = np.concatenate([np.zeros((1, len(since_s))), self._switch_s[1::2]])
        fails_s = np.concatenate([self._switch_s[::2], np.full((1, len(since_s)), np.inf)])[: len(back_s)]
        worked_s = np.minimum(fails_s, until_s) - np.maximum(back_s, since_s)
        return np.asarray(np.maximum(worked_s, 0.0).sum(axis=0))


@dataclass(frozen=True, config=STRICT)
class Renewals:
    r"""Things that fail and are repaired: a Markov chain of two states in continuous time.

    Times between failures and times to repair are exponential. A thing that works at first still or again does so
    after a time t with the probability

    $$A(t) = \frac{\mu}{\lambda + \mu} + \frac{\lambda}{\lambda + \mu} e^{-(\lambda + \mu) t}, \qquad
    \lambda = 1 / \mathrm{MTBF}, \quad \mu = 1 / \mathrm{MTTR}$$

    (K. S. Trivedi, "Probability and Statistics with Reliability, Queuing, and Computer Science Applications", 2nd ed.,
    Wiley 2002, section 8.3.1).

    Attributes:
        mtbf_s: Mean time from a repair to the next failure in s.
        mttr_s: Mean time to repair in s.
    """

    mtbf_s: Positive
    mttr_s: Positive

    def check(self, span_s: float) -> None:
        """Check that failures are rare enough to be kept for a span of time.

        Raises:
            ValueError: If each thing would fail more than 10,000 times.
        """
        cycle_s = self.mtbf_s + self.mttr_s
        if span_s > _MOST_FAILURES * cycle_s:
            raise ValueError(
                f"mtbf_s + mttr_s must be at least {span_s / _MOST_FAILURES:g} s in episodes of up to {span_s:g} s, "
                f"got {cycle_s:g} s"
            )

    def outages(self, number: int, span_s: float, rng: np.random.Generator) -> Outages:
        """Outages of some things, drawn for a span of time; they do not depend on how long the span is.

        Raises:
            ValueError: If each would fail more than 10,000 times.
        """
        self.check(span_s)
        cycles, switch_s = span_s / (self.mtbf_s + self.mttr_s), np.zeros((1, number))
        while (switch_s[-1] <= span_s).any():
            lasts_s = rng.standard_exponential((ceil(cycles) + 1, 2, number)) * [[self.mtbf_s], [self.mttr_s]]
            switch_s = np.concatenate([switch_s, switch_s[-1] + lasts_s.reshape(-1, number).cumsum(axis=0)])
        return Outages(switch_s[1:])
