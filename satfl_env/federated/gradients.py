"""One training step's losses and gradient for the rows of many satellites."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from satfl_env.federated.feeder import StackedBatch
from satfl_env.federated.model import HasStackedGradient, TrainableModel, has_stacked_gradient
from satfl_env.federated.parameters import Layout

# From a batch to the loss of each sample (A, B) and the gradient (A, P) of each satellite's mean loss.
Gradient = Callable[[StackedBatch], tuple[Tensor, Tensor]]


def gradient_of(
    model: TrainableModel, layout: Layout, rows: Tensor, output_mask: Tensor | None, precision: str
) -> Gradient:
    """The gradient at `rows` (A, P), read anew at every call; in closed form where the model offers one.

    With precision `bfloat16` the matrix products are in that precision, by automatic mixed precision.
    """
    if has_stacked_gradient(model) and precision == "float32":
        return _closed_form(model, layout, rows, output_mask)
    return _automatic(model, layout, rows, output_mask, mixed=precision == "bfloat16")


def _closed_form(model: HasStackedGradient, layout: Layout, rows: Tensor, output_mask: Tensor | None) -> Gradient:
    # The model leaves columns of padding, and of parameters that it does not use, as they are.
    flat_gradient = torch.zeros_like(rows)
    parameters, gradient = layout.split(rows), layout.split(flat_gradient)

    def evaluate(batch: StackedBatch) -> tuple[Tensor, Tensor]:
        images, targets, channel, share = batch
        loss = model.stacked_gradient(parameters, images, channel, targets, output_mask, share, gradient)
        return loss, flat_gradient

    return evaluate


def _automatic(
    model: TrainableModel, layout: Layout, rows: Tensor, output_mask: Tensor | None, *, mixed: bool
) -> Gradient:
    def evaluate(batch: StackedBatch) -> tuple[Tensor, Tensor]:
        images, targets, channel, share = batch
        with torch.enable_grad():
            leaf = rows.detach().requires_grad_()
            with torch.autocast(rows.device.type, torch.bfloat16, enabled=mixed):
                outputs = model.stacked_forward(layout.split(leaf), images, channel)
            loss = model.sample_loss(outputs.to(rows.dtype), images, targets, output_mask)
            # Satellites share no parameter, so the gradient of the weighted sum holds each one's own.
            (gradient,) = torch.autograd.grad(loss, leaf, share)
        return loss.detach(), gradient

    return evaluate
