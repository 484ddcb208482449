"""Sub-structures: narrower models inside a model of fully connected layers.

E. Diao, J. Ding, V. Tarokh, "HeteroFL: Computation and Communication Efficient Federated Learning for Heterogeneous
Clients", ICLR 2021: a model of width w has the first share w of the units of each hidden layer. With ReLU, training a
model whose other parameters are zero is training the narrow one: their gradients are zero.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from satfl_env.federated.parameters import Layout


def width_mask(layout: Layout, num_shared: int, width: float) -> Tensor:
    """Which of the leading columns a model of some width has, (num_shared,), of type bool.

    Encoder and decoder keep all their inputs and outputs.

    Args:
        layout: The layout of the whole model.
        num_shared: Number of leading columns.
        width: Share of the units of each hidden layer, in (0, 1]; at least one unit is left.

    Raises:
        ValueError: If layers are not fully connected.
    """
    masks: list[Tensor] = []
    stacks: dict[str, list[tuple[str, torch.Size]]] = {}
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        stacks.setdefault(name.split(".")[0], []).append((name, shape))
    for parameters in stacks.values():
        weights = [name for name, shape in parameters if len(shape) == 2]
        # Of the units before the first layer all are kept.
        kept = layout.num_parameters
        for name, shape in parameters:
            if len(shape) > 2:
                raise ValueError(f"structures need fully connected layers; {name} has the shape {tuple(shape)}")
            mask = torch.ones(shape, dtype=torch.bool)
            if len(shape) == 2:
                mask[:, kept:] = False
                kept = shape[0] if name == weights[-1] else max(1, ceil(width * shape[0]))
            mask[kept:] = False
            masks.append(mask.flatten())
    return torch.cat(masks)[:num_shared]


def overlapping_mean(updates: Tensor, weights: Tensor) -> Tensor:
    r"""Weighted mean of each number over updates that have it: $\sum_i w_i u_{ip} / \sum_i w_i$.

    Args:
        updates: Shape (n, P), NaN where an update does not have a number.
        weights: Shape (n,), summing to 1.

    Returns:
        Shape (P,); 0 where no update of any weight has the number.
    """
    total = weights @ (~updates.isnan()).to(weights)
    return torch.where(total > 0, (weights @ updates.nan_to_num(nan=0.0)) / total, 0.0)
