"""Aggregation of models: at the gateways over satellites, in the cloud over gateways."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from satfl_env.federated.combine import Combine, weighted_mean
from satfl_env.federated.rows import take_rows


def normalise_weights(raw: ArrayLike, groups: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scale raw weights so that they sum to 1 inside each group.

    Args:
        raw: Finite weights >= 0, (R,).
        groups: Group of each weight, 0..K-1, (R,).

    Returns:
        The weights, (R,), and the members, (R,), of groups whose raw weights were all zero and were made equal.

    Raises:
        ValueError: If a weight is negative, NaN or infinite, or the shapes differ.
    """
    raw = np.asarray(raw, dtype=np.float64)
    if raw.shape != groups.shape:
        raise ValueError(f"raw has shape {raw.shape}; expected that of groups, {groups.shape}")
    if not ((raw >= 0) & (raw < np.inf)).all():
        raise ValueError(f"weights must be finite and >= 0; got {raw.tolist()}")
    largest_of_group = np.zeros(groups.max(initial=-1) + 1)
    np.maximum.at(largest_of_group, groups, raw)
    largest = largest_of_group[groups]
    all_zero = largest == 0
    # Dividing by the largest weight of the group first keeps the sum clear of overflow and underflow.
    scaled = np.where(all_zero, 1.0, raw / np.where(all_zero, 1.0, largest))
    return scaled / np.bincount(groups, weights=scaled)[groups], all_zero


def gateway_aggregate(parameters: Tensor, weights: NDArray[np.float64], groups: NDArray[np.int64]) -> Tensor:
    r"""Weighted mean of the satellites of each group (SemSpaceFL, eq. 2).

    $$\mathbf{w}_g = \sum_{s \in \mathcal{U}_g} w_s \boldsymbol{\theta}_s, \qquad \sum_{s \in \mathcal{U}_g} w_s = 1$$

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
    r"""Weighted mean of the gateways' models of each cluster (SemSpaceFL, eq. 3).

    $$\mathbf{w} = \sum_{g} W_g \mathbf{w}_g, \qquad \sum_{g} W_g = 1$$

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


def combine_groups(
    start: Tensor,
    received: Tensor,
    members: NDArray[np.int64],
    weights: NDArray[np.float64],
    groups: NDArray[np.int64],
    combine: Combine,
) -> Tensor:
    """The model of each group by a server rule: where its members started, moved by their combined updates.

    Args:
        start: Where satellites started, usually the same inside a group, (S, P).
        received: What came back from each, (S, P).
        members: Satellites that returned, (R,); their rows are finite, and those of others are not read.
        weights: Summing to 1 inside each group, (R,).
        groups: Group of each row, 0..K-1, each with at least one member, (R,).
        combine: The rule inside a group.

    Returns:
        One model per group, (K, P).

    Raises:
        ValueError: If shapes do not fit, a group is empty, the weights of one do not sum to 1, or the rule does not
            give one finite update.
    """
    returned = take_rows(received, members)
    if combine is weighted_mean:
        # The start drops out: one matrix product, without the rounding of two differences.
        return gateway_aggregate(returned, weights, groups)
    first = take_rows(start, members)
    return gateway_aggregate(first, weights, groups) + combine_updates(returned - first, weights, groups, combine)


def combine_updates(
    updates: Tensor, weights: NDArray[np.float64], groups: NDArray[np.int64], combine: Combine
) -> Tensor:
    """The update of each group by a server rule, (K, P), from those of its members, (R, P); see `combine_groups`."""
    if combine is weighted_mean:
        return gateway_aggregate(updates, weights, groups)
    _check_groups(updates, weights, groups)
    shares = torch.from_numpy(weights).to(updates)
    members = [torch.from_numpy(np.flatnonzero(groups == group)) for group in range(groups.max(initial=-1) + 1)]
    with torch.no_grad():
        combined = [_combined(combine, updates[rows], shares[rows]) for rows in members]
    return torch.stack(combined) if combined else updates


def _combined(combine: Combine, updates: Tensor, weights: Tensor) -> Tensor:
    """The checked result of a rule, which may be the user's own, for one group."""
    update, shape = combine(updates, weights), updates.shape[1:]
    name = f"the server rule {getattr(combine, '__name__', type(combine).__name__)}"
    if not isinstance(update, Tensor) or update.shape != shape:
        found = tuple(update.shape) if isinstance(update, Tensor) else type(update).__name__
        raise ValueError(f"{name} must give a tensor of shape (P,) = {tuple(shape)}, got {found}")
    if not update.isfinite().all():
        raise ValueError(f"{name} must give finite numbers, got NaN or infinity")
    return update.to(updates)


def raw_cloud_weights(
    raw_gateway_weights: NDArray[np.float64],
    raw_weights: NDArray[np.float64],
    gateways: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> NDArray[np.float64]:
    r"""Raw weight at the cloud of each (gateway, cluster) group: its share of its gateway's weight.

    $$\tilde{W}_{gc} = \tilde{W}_g
    \frac{\sum_{s \in \mathcal{U}_{gc}} \tilde{w}_s}{\sum_{s \in \mathcal{U}_g} \tilde{w}_s}$$

    A gateway's weight is divided among its clusters in proportion to the raw weights of the satellites that came back.
    So a gateway counts once however many clusters it has. If its weight is the sum of its satellites' weights, eq. 5 of
    the task-clustering paper holds for clusters whose members are at several gateways.

    Args:
        raw_gateway_weights: Raw weights of the gateways, finite, >= 0, (G,).
        raw_weights: Raw weights of the satellites that came back, finite, >= 0, (R,).
        gateways: Gateway of each group, (K,).
        groups: Group of each satellite, 0..K-1, each with at least one member, (R,).

    Returns:
        Shape (K,); where all raw weights of a gateway's satellites are zero, they count alike.
    """
    share, _ = normalise_weights(raw_weights, gateways[groups])
    return raw_gateway_weights[gateways] * np.bincount(groups, weights=share)


def _check_groups(rows: Tensor, weights: NDArray[np.float64], groups: NDArray[np.int64]) -> None:
    """Raise a ValueError if shapes do not fit, or the weights of a group do not sum to 1, as in an empty one."""
    if weights.shape != groups.shape or len(rows) != len(groups):
        raise ValueError(f"{len(rows)} rows do not fit weights {weights.shape} and groups {groups.shape}")
    total = np.bincount(groups, weights=weights)
    if not (np.abs(total - 1.0) <= 1e-6).all():
        raise ValueError(f"weights of a group must sum to 1; the sums are {total.tolist()}")


def _grouped_mean(rows: Tensor, weights: NDArray[np.float64], groups: NDArray[np.int64]) -> Tensor:
    """All groups in one matrix product, (K, R) by (R, P)."""
    _check_groups(rows, weights, groups)
    membership = np.zeros((groups.max(initial=-1) + 1, len(groups)))
    membership[groups, np.arange(len(groups))] = weights
    return torch.from_numpy(membership).to(rows) @ rows
