"""Optimizers of the stacked engine: one update for the rows of all satellites that still train."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.adam import adam

from satfl_env.federated.local import TrainingSettings


class RowAdam:
    """Adam with PyTorch's default constants on the first rows of a flat (S, P) tensor.

    Rows only ever leave at the end, so that all remaining ones share one step count.
    """

    def __init__(self, flat: Tensor, learning_rate: float) -> None:
        """Start with empty moments for every row."""
        self.learning_rate = learning_rate
        self.mean = torch.zeros_like(flat)
        self.square = torch.zeros_like(flat)
        self.step = torch.zeros((), device=flat.device)

    def update(self, rows: Tensor, gradient: Tensor) -> None:
        """Move the first `len(rows)` rows, in place."""
        active = len(rows)
        adam(
            [rows],
            [gradient],
            [self.mean[:active]],
            [self.square[:active]],
            [],
            [self.step],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


class RowSGD:
    """Plain gradient descent on the first rows of a flat (S, P) tensor."""

    def __init__(self, learning_rate: float) -> None:
        """Keep the step size."""
        self.learning_rate = learning_rate

    def update(self, rows: Tensor, gradient: Tensor) -> None:
        """Move the rows, in place."""
        rows.sub_(gradient, alpha=self.learning_rate)


def row_optimizer(flat: Tensor, settings: TrainingSettings) -> RowAdam | RowSGD:
    """A fresh optimizer for the rows of `flat`."""
    if settings.optimizer == "sgd":
        return RowSGD(settings.learning_rate)
    return RowAdam(flat, settings.learning_rate)
