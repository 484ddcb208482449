r"""FedGroup: satellites are grouped once, by the directions of their first updates, and newcomers join later.

M. Duan et al., "FedGroup: Efficient Clustered Federated Learning via Decomposed Data-Driven Measure", ISPA 2021 (arXiv
2010.06870). Known to us by its abstract and by the authors' code, github.com/morningD/FlexCFL, where some clients train
for the grouping alone before the first round, and newcomers when they come. Here it is their first updates that count.

Groups are k-means clusters of the updates' cosines with the leading singular directions $v_k$ of the matrix of updates;
distances in that space are the paper's Euclidean distance of decomposed cosine similarity, up to a constant factor:

$$\mathrm{EDC}(i, j) = \frac{1}{\sqrt m} \sqrt{\sum_{k=1}^m \left(\cos(u_i, v_k) - \cos(u_j, v_k)\right)^2}$$

Updates are taken at unit length here, so that the server needs no more than the cosines of every two of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from satfl_baselines.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from satfl_env import NetworkState

NUM_GROUPS = 3


def grouped_updates(state: NetworkState, groups: int = NUM_GROUPS) -> IntArray:
    """Labels (S,): `groups` groups 0, 1, ..., and S - 1 for satellites that belong to none yet.

    Those that belong to none train together. Groups are formed once, as soon as at least half of the satellites, and no
    fewer than there are groups, have returned an update. Whoever returns its first one later joins the group whose
    updates point its way: by the mean cosine with those that have come back in the same round.
    """
    none = state.num_satellites - 1
    if state.round == 0:
        return np.full(state.num_satellites, none)
    labels, groups = state.cluster.copy(), min(groups, none)
    newcomers = np.flatnonzero((labels == none) & (state.last_epochs > 0))
    if (labels == none).all():
        enough = len(newcomers) >= max(groups, state.num_satellites / 2)
        if enough and groups:
            labels[newcomers] = groups_of_updates(state.update_similarity[np.ix_(newcomers, newcomers)], groups)
        return labels
    for newcomer in newcomers:
        cosines = _mean_cosines(state.update_similarity[newcomer], state.cluster, groups)
        if np.isfinite(cosines).any():
            labels[newcomer] = int(np.nanargmax(cosines))
    return labels


def groups_of_updates(similarity: FloatArray, groups: int) -> IntArray:
    """Groups 0, 1, ... of n updates by k-means, numbered by their first member, (n,), from their cosines, (n, n)."""
    from sklearn.cluster import KMeans

    points = decomposed_cosines(similarity, groups)
    # Fewer groups where updates are equal, of which k-means would warn.
    groups = min(groups, len(np.unique(points.round(6), axis=0)))
    found = KMeans(groups, n_init=10, random_state=0).fit_predict(points)
    _, first, index = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[index]


def decomposed_cosines(similarity: FloatArray, directions: int) -> FloatArray:
    r"""Cosines of n updates with their m leading singular directions, (n, m).

    With unit updates as the rows of $U = A \Sigma V^\top$ they are $U V = A \Sigma$, and the cosines of every two
    updates, (n, n), are $U U^\top = A \Sigma^2 A^\top$.
    """
    values, vectors = np.linalg.eigh(similarity)
    leading = slice(None, -directions - 1, -1)
    return np.asarray(vectors[:, leading] * np.sqrt(values[leading].clip(min=0.0)))


def _mean_cosines(cosines: FloatArray, cluster: IntArray, groups: int) -> FloatArray:
    """Mean cosine (groups,) with those of each group that have come back together with a satellite; NaN without any."""
    together = [cosines[(cluster == group) & (cosines != 0)] for group in range(groups)]
    return np.array([each.mean() if each.size else np.nan for each in together])
