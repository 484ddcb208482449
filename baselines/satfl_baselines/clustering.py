"""Clustering rules: which satellites' models are merged (task clustering, Algorithm 1, phase 1).

A rule maps a `NetworkState` to labels (S,) in 0..S-1. Deterministic rules name a cluster after its lowest member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

import satfl_env
from satfl_baselines.arrays import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from satfl_env import NetworkState

ClusteringRule = Callable[["NetworkState"], IntArray]
Threshold = float | Literal["midpoint", "largest-gap"]

# Similarities this close are equal: rounding must not split a cluster.
ROUNDING = 1e-6


def cluster_tasks(pmfs: FloatArray, threshold: Threshold = "midpoint") -> IntArray:
    """Clusters of tasks with similar label distributions (task clustering, Algorithm 1, phase 1).

    Args:
        pmfs: Label distribution of each satellite over the common alphabet (eq. 7), (S, A). All zero for a satellite
            without samples, which stays alone.
        threshold: A number tau, or how to find it: see `similarity_threshold`.

    Returns:
        Labels, (S,): satellites with equal labels form a cluster, named after its lowest member.

    Raises:
        ValueError: If a row is no distribution, or the threshold is unknown.
    """
    pmfs = np.asarray(pmfs, dtype=np.float64)
    labels = np.arange(len(pmfs))
    present = np.flatnonzero(pmfs.any(axis=1))
    omega = satfl_env.semantic_similarity(pmfs[present])
    labels[present] = present[similar_groups(omega, threshold)]
    return labels


def similar_groups(similarity: FloatArray, threshold: Threshold = "midpoint") -> IntArray:
    """Labels (S,) of the clusters in a similarity matrix (S, S) (task clustering, section III-C).

    Satellites at least as similar as the threshold belong together, and so do those linked through others.
    """
    tau = similarity_threshold(similarity, threshold)
    return transitive_closure(relation_matrix(similarity, tau))


def jensen_shannon(state: NetworkState, threshold: Threshold = "midpoint") -> IntArray:
    """Clusters of semantically similar tasks: `cluster_tasks`, from the similarities that the server already knows."""
    return similar_groups(state.similarity, threshold)


def in_two_stages(state: NetworkState, *, early: float, late: float, switch: float) -> IntArray:
    """Clusters of semantically similar tasks, coarse first and fine later, or the other way round.

    Thresholds are positions between the lowest and the highest similarity, see `threshold_between`: `early` until the
    share `switch` of the episode's rounds is played, and `late` from then on.
    """
    # Without a switch there is no need to know when the episode ends.
    changes = early != late and switch > 0
    position = early if changes and state.round / (state.round + state.rounds_left) < switch else late
    return jensen_shannon(state, threshold_between(state.similarity, position))


def similar_updates(state: NetworkState, threshold: Threshold = "midpoint") -> IntArray:
    """Clusters of satellites whose first updates point the same way; needs no label distributions.

    The cosine of updates tells clusters apart in Sattler et al. (IEEE TNNLS 32(8), 2021). As in Briggs et al. (IJCNN
    2020) clusters are formed once, after a first round with a single cluster, while all satellites still start from
    the same model, and then kept.
    """
    if state.round == 0:
        return one_cluster(state)
    return similar_groups(state.update_similarity, threshold) if state.round == 1 else state.cluster


def lowest_loss(state: NetworkState) -> IntArray:
    """Every satellite in the cluster whose model has the lowest loss on its own samples (IFCA).

    A. Ghosh, J. Chung, D. Yin, K. Ramchandran, "An Efficient Framework for Clustered Federated Learning", NeurIPS 2020
    (arXiv 2006.04088). Satellites fetch the models of K clusters, the setting `rounds.broadcast`; with one it is
    unclustered learning. IFCA starts from K models drawn at random. Here all start from one, and part ways in the first
    round, for which satellites are dealt out to the clusters in turn.
    """
    if state.round == 0:
        return np.asarray(np.arange(state.num_satellites) % state.cluster_loss.shape[1])
    return np.asarray(state.cluster_loss.argmin(axis=1))


def one_cluster(state: NetworkState) -> IntArray:
    """Everyone together: unclustered federated learning."""
    return np.zeros(state.num_satellites, dtype=np.int64)


def singletons(state: NetworkState) -> IntArray:
    """Everyone alone: individual training, no aggregation between satellites."""
    return np.arange(state.num_satellites)


def random_clusters(state: NetworkState, rng: np.random.Generator) -> IntArray:
    """Labels drawn uniformly from 0..S-1."""
    return rng.integers(state.num_satellites, size=state.num_satellites)


def similarity_threshold(similarity: FloatArray, threshold: Threshold) -> float:
    """The threshold tau: a number unchanged, or the result of the named rule for a similarity matrix (S, S).

    Raises:
        ValueError: If there is no rule of that name, or the number is not finite.
    """
    if isinstance(threshold, str) and threshold in THRESHOLDS:
        return THRESHOLDS[threshold](similarity)
    if not isinstance(threshold, int | float) or not np.isfinite(threshold):
        raise ValueError(f"threshold must be a number or one of {', '.join(THRESHOLDS)}, got {threshold!r}")
    return float(threshold)


def midpoint_threshold(similarity: FloatArray) -> float:
    r"""Midpoint between the lowest and the highest off-diagonal similarity (task clustering, section IV).

    $$\tau = \frac{1}{2} \left(\min_{i \ne j} \omega_{ij} + \max_{i \ne j} \omega_{ij}\right)$$

    Args:
        similarity: Symmetric similarity matrix Omega, (S, S).

    Returns:
        The threshold; 1 for fewer than two satellites. Where all pairs are equally similar, all of them reach it.
    """
    return threshold_between(similarity, 0.5)


def threshold_between(similarity: FloatArray, position: float) -> float:
    """A threshold between the lowest off-diagonal similarity (position 0, which joins everyone) and the highest (1).

    Argument and result are otherwise those of `midpoint_threshold`.
    """
    others = _off_diagonal(similarity)
    return float((1 - position) * others[0] + position * others[-1]) if others.size else 1.0


def largest_gap_threshold(similarity: FloatArray) -> float:
    """The middle of the widest gap between the sorted off-diagonal similarities.

    Arguments and result are those of `midpoint_threshold`.
    """
    others = _off_diagonal(similarity)
    if others.size == 0:
        return 1.0
    widest = int(np.argmax(np.diff(others)))
    return float((others[widest] + others[widest + 1]) / 2)


THRESHOLDS: Mapping[str, Callable[[FloatArray], float]] = {
    "midpoint": midpoint_threshold,
    "largest-gap": largest_gap_threshold,
}


def relation_matrix(similarity: FloatArray, threshold: float) -> BoolArray:
    r"""Relation $r_{ij} = 1 \Leftrightarrow \omega_{ij} \ge \tau$ (task clustering, section III-C), (S, S)."""
    return np.asarray(similarity >= threshold - ROUNDING)


def transitive_closure(relation: BoolArray) -> IntArray:
    r"""Labels of the connected components of a relation, made transitive: $r_{ij} + r_{jk} \le r_{ik} + 1$.

    Args:
        relation: Symmetric relation R, (S, S).

    Returns:
        For each satellite the lowest index in its component, (S,).
    """
    # Of ten satellites this takes a fifteenth of the time of SciPy's connected components.
    label = np.arange(len(relation))
    while True:
        lowest = np.where(relation, label, label[:, None]).min(axis=1, initial=len(relation))
        if (lowest == label).all():
            return label
        label = lowest


def _off_diagonal(similarity: FloatArray) -> FloatArray:
    """All off-diagonal entries of a matrix (S, S) in ascending order."""
    return np.sort(similarity[~np.eye(len(similarity), dtype=bool)])
