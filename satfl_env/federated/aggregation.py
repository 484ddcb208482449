"""Weighted means of models: at the gateways over satellites, in the cloud over gateways."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


def normalise_weights(raw: ArrayLike, groups: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scale raw weights so that they sum to 1 inside each group.

    Args:
        raw: Finite weights >= 0, (R,).
        groups: Group of each weight, 0..K-1, (R,).

    Returns:
        The weights, (R,), and the groups whose raw weights were all zero and that got equal weights instead.

    Raises:
        ValueError: If a weight is negative, NaN or infinite, or the shapes differ.
    """
    raw = np.asarray(raw, dtype=np.float64)
    if raw.shape != groups.shape:
        raise ValueError(f"raw has shape {raw.shape}; expected that of groups, {groups.shape}")
    if not (np.isfinite(raw).all() and (raw >= 0).all()):
        raise ValueError(f"weights must be finite and >= 0; got {raw.tolist()}")
    size = np.bincount(groups)
    # Dividing by the largest weight of the group first keeps the sum clear of overflow and underflow.
    largest = np.zeros(len(size))
    np.maximum.at(largest, groups, raw)
    all_zero = (largest == 0) & (size > 0)
    scaled = np.where(all_zero[groups], 1.0, raw / np.where(largest > 0, largest, 1.0)[groups])
    return scaled / np.bincount(groups, weights=scaled)[groups], np.flatnonzero(all_zero)


def gateway_aggregate(parameters: Tensor, weights: NDArray[np.float64], groups: NDArray[np.int64]) -> Tensor:
    """Weighted mean of the satellites of each group (SemSpaceFL, eq. 2).

    With equal weights and the clusters as groups it is the cluster mean of the task-clustering paper (eq. 5).

    Args:
        parameters: One row per satellite that returned, finite, (R, P).
        weights: Summing to 1 inside each group, (R,).
        groups: Group of each row, 0..K-1, each with at least one member, (R,).

    Returns:
        One model per group, (K, P).

    Raises:
        ValueError: If shapes do not fit, a group is empty or the weights of one do not sum to 1.
    """
    return _grouped_mean(parameters, weights, groups)


def cloud_aggregate(gateway_models: Tensor, weights: NDArray[np.float64], clusters: NDArray[np.int64]) -> Tensor:
    """Weighted mean of the gateways' models of each cluster (SemSpaceFL, eq. 3).

    Args:
        gateway_models: One row per (gateway, cluster) that takes part, finite, (R, P).
        weights: Summing to 1 inside each cluster, (R,).
        clusters: Cluster of each row, 0..K-1, each with at least one row, (R,); all zero where there is one model.

    Returns:
        One model per cluster, (K, P).

    Raises:
        ValueError: If shapes do not fit, a cluster is empty or the weights of one do not sum to 1.
    """
    return _grouped_mean(gateway_models, weights, clusters)


def _grouped_mean(rows: Tensor, weights: NDArray[np.float64], groups: NDArray[np.int64]) -> Tensor:
    """All groups in one matrix product, (K, R) by (R, P)."""
    if weights.shape != groups.shape or len(rows) != len(groups):
        raise ValueError(f"{len(rows)} rows do not fit weights {weights.shape} and groups {groups.shape}")
    membership = np.zeros((groups.max(initial=-1) + 1, len(groups)))
    membership[groups, np.arange(len(groups))] = weights
    total = membership.sum(axis=1)
    if not (np.abs(total - 1.0) <= 1e-6).all():
        raise ValueError(f"weights of a group must sum to 1; the sums are {total.tolist()}")
    return torch.from_numpy(membership).to(rows) @ rows
