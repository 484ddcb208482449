"""Semantic similarity of the satellites' tasks from the distributions of their labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Probabilities of pairs that are held at a time.
_CHUNK = 1_000_000


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    r"""Jensen-Shannon divergence in nats, in [0, log 2] (task-clustering paper, eq. 6).

    $$\mathrm{JS}(p, q) = H\left(\frac{p + q}{2}\right) - \frac{H(p) + H(q)}{2}, \qquad
    H(p) = -\sum_a p_a \log p_a$$

    Args:
        p: Probability mass functions over the last axis.
        q: The same; both broadcast over the leading axes.

    Raises:
        ValueError: If an entry is negative or not finite, or a distribution does not sum to 1.
    """
    p, q = _checked(p, "p"), _checked(q, "q")
    return np.clip(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2, 0.0, np.log(2.0))


def semantic_similarity(pmfs: ArrayLike) -> NDArray[np.float64]:
    r"""Similarity $\omega_{ij} = 1 - \mathrm{JS}(\pi_i, \pi_j)$ (task-clustering paper, eq. 8).

    Args:
        pmfs: Label distributions over one common alphabet, shape (S, A).

    Returns:
        Symmetric, shape (S, S), in [1 - log 2, 1], with ones on the diagonal.
    """
    pmfs = np.asarray(pmfs, dtype=np.float64)
    if pmfs.ndim != 2:
        raise ValueError(f"pmfs has shape {pmfs.shape}; allowed is (satellites, alphabet)")
    # Satellites that serve one task often have the same distribution.
    distinct, kind = np.unique(pmfs, axis=0, return_inverse=True)
    similarity = np.empty((len(distinct), len(distinct)))
    rows = max(_CHUNK // max(distinct.size, 1), 1)
    for first in range(0, len(distinct), rows):
        some = slice(first, first + rows)
        similarity[some] = 1.0 - jensen_shannon_divergence(distinct[some, None], distinct[None])
    return similarity.take(kind, axis=1).take(kind, axis=0)


def _entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithm = np.log(p, out=np.zeros_like(p), where=p > 0)
    entropy: NDArray[np.float64] = -(p * logarithm).sum(-1)
    return entropy


def _checked(pmf: ArrayLike, name: str) -> NDArray[np.float64]:
    pmf = np.asarray(pmf, dtype=np.float64)
    if not (np.isfinite(pmf).all() and (pmf >= 0).all() and np.allclose(pmf.sum(-1), 1.0, atol=1e-6)):
        raise ValueError(f"{name} is not a probability mass function; entries must be >= 0 and sum to 1")
    return pmf
