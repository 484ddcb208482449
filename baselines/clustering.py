"""Clustering rules: whose models are merged with whose (task clustering, Algorithm 1, phase 1).

A rule maps a `NetworkState` to labels (S,) in 0..S-1. Deterministic rules name a cluster after its lowest member.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.csgraph import connected_components

from baselines.arrays import BoolArray, FloatArray, IntArray
from satfl_env import NetworkState

ClusteringRule = Callable[[NetworkState], IntArray]

# Similarities this close are equal: rounding must not tear a cluster apart.
ROUNDING = 1e-6


def jensen_shannon(state: NetworkState) -> IntArray:
    """Clusters of semantically similar tasks (task clustering, Algorithm 1).

    Satellites at least as similar as the midpoint threshold belong together, and so do those linked through others.
    """
    similarity = state.similarity
    return transitive_closure(relation_matrix(similarity, midpoint_threshold(similarity)))


def one_cluster(state: NetworkState) -> IntArray:
    """Everyone together: unclustered federated learning."""
    return np.zeros(state.num_satellites, dtype=np.int64)


def singletons(state: NetworkState) -> IntArray:
    """Everyone alone: individual training, no aggregation between satellites."""
    return np.arange(state.num_satellites)


def random_clusters(state: NetworkState, rng: np.random.Generator) -> IntArray:
    """Labels drawn uniformly from 0..S-1."""
    return rng.integers(state.num_satellites, size=state.num_satellites)


def midpoint_threshold(similarity: FloatArray) -> float:
    """Midpoint tau between the lowest and the highest off-diagonal similarity (task clustering, section IV).

    Args:
        similarity: Symmetric similarity matrix Omega, (S, S).

    Returns:
        The threshold; that of a single satellite is its similarity to itself.
    """
    others = similarity[~np.eye(len(similarity), dtype=bool)]
    if others.size == 0:
        return float(similarity[0, 0])
    return float((others.min() + others.max()) / 2)


def relation_matrix(similarity: FloatArray, threshold: float) -> BoolArray:
    """Relation r_ij = 1 where omega_ij >= tau (task clustering, section III-C), (S, S)."""
    return np.asarray(similarity >= threshold - ROUNDING)


def transitive_closure(relation: BoolArray) -> IntArray:
    """Labels of the groups that r_ij + r_jk <= r_ik + 1 makes of a relation: its connected components.

    Args:
        relation: Symmetric relation R, (S, S).

    Returns:
        For each satellite the lowest index in its component, (S,).
    """
    _, component = connected_components(relation, directed=False)
    _, lowest = np.unique(component, return_index=True)
    return np.asarray(lowest[component], dtype=np.int64)
