"""The cross-entropy method: a search for the best point of a function that can only be evaluated.

R. Y. Rubinstein, "The cross-entropy method for combinatorial and continuous optimization", Methodology and Computing
in Applied Probability 1(2), 1999; with noise added to the spread, as in I. Szita and A. Lőrincz, "Learning Tetris using
the noisy cross-entropy method", Neural Computation 18(12), 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from satfl_baselines.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Where the search looks: independent normal distributions of D numbers.

    Attributes:
        mean: Their means, (D,).
        spread: Their standard deviations, (D,).
    """

    mean: FloatArray
    spread: FloatArray

    def draw(self, number: int, rng: np.random.Generator) -> FloatArray:
        """Candidates, (number, D)."""
        return self.mean + self.spread * rng.standard_normal((number, len(self.mean)))

    def after(
        self, candidates: FloatArray, scores: FloatArray, *, elite: int, rate: float = 0.8, lowest_spread: float = 0.02
    ) -> Gaussian:
        """The distribution after a generation: it moves towards the best candidates.

        Args:
            candidates: The candidates of the generation, (N, D).
            scores: How good each is, the higher the better, (N,).
            elite: How many of the best count.
            rate: How far it moves to their mean and standard deviation, in (0, 1].
            lowest_spread: Standard deviation that is kept at least, so that the search goes on.
        """
        best = candidates[np.argsort(-scores, kind="stable")[:elite]]
        mean = (1 - rate) * self.mean + rate * best.mean(axis=0)
        spread = (1 - rate) * self.spread + rate * best.std(axis=0)
        return Gaussian(mean, np.maximum(spread, lowest_spread))
