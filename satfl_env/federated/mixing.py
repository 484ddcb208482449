"""How satellites average their models with each other, without a server: mixing matrices, (S, S).

Row i has the weights by which satellite i averages all models. The matrices are symmetric and doubly stochastic, so
that the mean over all satellites stays. Each stands for an undirected graph of E links, given by their ends, (E,) each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satfl_env.imports import import_tidily

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def metropolis_weights(one: IntArray, other: IntArray, num_satellites: int) -> FloatArray:
    r"""Each satellite averages with its neighbours, $d_i$ being how many it has, (S, S).

    $$W_{ij} = \frac{1}{1 + \max(d_i, d_j)} \text{ for a link}, \qquad W_{ii} = 1 - \sum_{j \ne i} W_{ij}$$

    A satellite needs to know its neighbours' degrees alone. L. Xiao, S. Boyd, S. Lall, "A scheme for robust distributed
    sensor fusion based on average consensus", IPSN 2005.
    """
    degree = np.bincount(np.concatenate([one, other]), minlength=num_satellites)
    weights = np.zeros((num_satellites, num_satellites))
    weights[one, other] = weights[other, one] = 1.0 / (1 + np.maximum(degree[one], degree[other]))
    np.fill_diagonal(weights, 1.0 - weights.sum(axis=1))
    return weights


def component_means(component: IntArray) -> FloatArray:
    """Each satellite averages with all of its component, with equal weights, (S, S); see `components`."""
    same = component[:, None] == component
    return np.asarray(same / same.sum(axis=1))


def components(one: IntArray, other: IntArray, num_satellites: int) -> IntArray:
    """Number of each satellite's component: those that it reaches over any number of links, (S,)."""
    graph = import_tidily("scipy.sparse").csr_array((np.ones(len(one)), (one, other)), shape=(num_satellites,) * 2)
    _, component = import_tidily("scipy.sparse.csgraph").connected_components(graph, directed=False)
    return np.asarray(component, dtype=np.int64)
