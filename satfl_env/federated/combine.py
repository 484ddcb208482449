r"""How a server combines the updates of a group: rules $(u_1, \dots, u_n), (w_1, \dots, w_n) \mapsto u$.

A rule is called with the updates, (n, P), and their weights, (n,), which are >= 0 and sum to 1, and returns one update,
(P,). What it returns is added to where the members of the group started. Any function of this form is a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Combine = Callable[[Tensor, Tensor], Tensor]
"""A rule of the server: updates, (n, P), and their weights, (n,), give one update, (P,)."""

# Sums of weights that are equal but for rounding in single precision differ by less.
_ROUNDING = 1e-6


def weighted_mean(updates: Tensor, weights: Tensor) -> Tensor:
    r"""Weighted mean $\sum_i w_i u_i$ (SemSpaceFL, eq. 2; FedAvg, McMahan et al., AISTATS 2017).

    Args:
        updates: Shape (n, P).
        weights: Shape (n,), summing to 1.

    Returns:
        Shape (P,).
    """
    return weights @ updates


def coordinate_median(updates: Tensor, weights: Tensor) -> Tensor:
    r"""Weighted median of each coordinate: the $m$ that minimises $\sum_i w_i |u_i - m|$.

    D. Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018. Where half of
    the weight lies on either side of a gap, it is the middle of the gap.

    Args:
        updates: Shape (n, P).
        weights: Shape (n,), summing to 1.

    Returns:
        Shape (P,).
    """
    values, order = updates.sort(dim=0)
    # In double precision, so that halves of equal weights meet.
    below = weights.double()[order].cumsum(dim=0)
    half = below[-1] / 2
    lower = (below < half * (1 - _ROUNDING)).sum(dim=0, keepdim=True)
    upper = (below <= half * (1 + _ROUNDING)).sum(dim=0, keepdim=True)
    return (values.gather(0, lower) + values.gather(0, upper))[0] / 2


@dataclass(frozen=True)
class TrimmedMean:
    r"""Weighted mean of each coordinate without its $\lfloor \beta n \rfloor$ lowest and highest values.

    D. Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018. The weights of
    what is left are scaled to sum to 1; if they are all zero, the values count alike.

    Args:
        share: Share beta of the updates that is cut off at either end, in [0, 0.5).

    Raises:
        ValueError: If the share is out of range.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 <= self.share < 0.5:
            raise ValueError(f"share is {self.share!r}; allowed are numbers in [0, 0.5)")

    def __call__(self, updates: Tensor, weights: Tensor) -> Tensor:
        """Combine updates (n, P) with weights (n,) to (P,)."""
        count = len(updates)
        cut = int(self.share * count + _ROUNDING)
        values, order = updates.sort(dim=0)
        kept, kept_weights = values[cut : count - cut], weights[order][cut : count - cut]
        total = kept_weights.sum(dim=0)
        return torch.where(total > 0, (kept_weights * kept).sum(dim=0) / total, kept.mean(dim=0))


@dataclass(frozen=True)
class GeometricMedian:
    r"""Geometric median $\arg\min_v \sum_i w_i \lVert v - u_i \rVert$ by the smoothed Weiszfeld algorithm.

    $$v \leftarrow \frac{\sum_i \beta_i u_i}{\sum_i \beta_i}, \qquad
    \beta_i = \frac{w_i}{\max(\nu, \lVert v - u_i \rVert)}$$

    K. Pillutla, S. M. Kakade, Z. Harchaoui, "Robust Aggregation for Federated Learning", IEEE Transactions on Signal
    Processing 70, 2022, algorithm 2. It starts at the weighted mean.

    Args:
        smoothing: nu as a share of the mean distance from the weighted mean, > 0.
        tolerance: It stops once a step is shorter than this share of that distance, >= 0.
        max_steps: It stops after this many steps, >= 1.

    Raises:
        ValueError: If a number is out of range.
    """

    smoothing: float = 1e-6
    tolerance: float = 1e-6
    max_steps: int = 100

    def __post_init__(self) -> None:
        if not 0.0 < self.smoothing < float("inf"):
            raise ValueError(f"smoothing is {self.smoothing!r}; allowed are finite numbers > 0")
        if not 0.0 <= self.tolerance < float("inf"):
            raise ValueError(f"tolerance is {self.tolerance!r}; allowed are finite numbers >= 0")
        if self.max_steps < 1:
            raise ValueError(f"max_steps is {self.max_steps!r}; allowed are integers >= 1")

    def __call__(self, updates: Tensor, weights: Tensor) -> Tensor:
        """Combine updates (n, P) with weights (n,) to (P,)."""
        median = weights @ updates
        spread = weights @ _distances(updates, median)
        if not spread > 0:
            return median
        for _ in range(self.max_steps):
            pull = weights / _distances(updates, median).clamp(min=self.smoothing * spread)
            moved = pull @ updates / pull.sum()
            step, median = torch.linalg.vector_norm(moved - median), moved
            if step <= self.tolerance * spread:
                break
        return median


@dataclass(frozen=True)
class ClippedMean:
    r"""Weighted mean of updates whose norm is clipped: $\sum_i w_i u_i \min(1, c / \lVert u_i \rVert)$.

    Z. Sun et al., "Can You Really Backdoor Federated Learning?", 2019, arXiv 1911.07963 (norm thresholding).

    Args:
        max_norm: Longest Euclidean norm c of an update that is left as it is, > 0.

    Raises:
        ValueError: If the norm is out of range.
    """

    max_norm: float

    def __post_init__(self) -> None:
        if not 0.0 < self.max_norm < float("inf"):
            raise ValueError(f"max_norm is {self.max_norm!r}; allowed are finite numbers > 0")

    def __call__(self, updates: Tensor, weights: Tensor) -> Tensor:
        """Combine updates (n, P) with weights (n,) to (P,)."""
        norm = torch.linalg.vector_norm(updates, dim=1)
        clipped: Tensor = (weights * (self.max_norm / norm).clamp(max=1.0)) @ updates
        return clipped


# The rules by name; those that have parameters take their defaults.
COMBINE_RULES: Mapping[str, Combine] = {
    "weighted_mean": weighted_mean,
    "coordinate_median": coordinate_median,
    "trimmed_mean": TrimmedMean(),
    "geometric_median": GeometricMedian(),
    "clipped_mean": ClippedMean(max_norm=1.0),
}


def _distances(updates: Tensor, point: Tensor) -> Tensor:
    """Euclidean distance of each update from a point, (n,)."""
    distances: Tensor = torch.linalg.vector_norm(updates - point, dim=1)
    return distances
