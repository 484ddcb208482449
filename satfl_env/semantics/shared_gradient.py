"""Gradients in closed form of operations that several models share."""

from __future__ import annotations

import torch
from torch import Tensor


def relu_backward(hidden: Tensor, hidden_gradient: Tensor) -> Tensor:
    """Gradient before a ReLU, in place, from its outputs and the gradient after it."""
    gradient: Tensor = torch.ops.aten.threshold_backward.grad_input(
        hidden_gradient, hidden, 0.0, grad_input=hidden_gradient
    )
    return gradient


def normalise_power_backward(unit: Tensor, scale: Tensor, unit_gradient: Tensor) -> Tensor:
    """Gradient before power normalisation, where `unit` = symbols * scale has unit power along the last axis."""
    along = (unit * unit_gradient).sum(-1, keepdim=True)
    return torch.addcmul(unit_gradient, unit, along, value=-1.0 / unit.shape[-1]).mul_(scale)
