"""Testing the models the satellites hold, all in one batched forward pass."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import Layout, LocalData, SemanticModel
from satfl_env.semantics import ChannelDraw
from satfl_env.simulation.ingredients import FederatedData
from satfl_env.simulation.state import FloatArray

# Satellites in one forward pass: bounds the memory of large constellations.
_CHUNK = 64


@dataclass(frozen=True)
class Evaluation:
    """Test loss (S,) and test metrics, each (S,)."""

    loss: FloatArray
    metrics: Mapping[str, FloatArray]


def evaluate(model: SemanticModel, layout: Layout, held: Tensor, data: FederatedData, draw: ChannelDraw) -> Evaluation:
    """Test every satellite's model, parameters `held` (S, P), on its task's test labels.

    `draw` is one channel draw for the whole test set, the same for every satellite and round, so that differences
    between two evaluations come from the models alone.
    """
    if data.train.output_mask is None:
        # Without tasks of their own, satellites that hold the same model have the same result.
        models, which = torch.unique(held, dim=0, return_inverse=True)
        result = _evaluate_all(model, layout, models, data, draw)
        return Evaluation(result.loss[which], {name: values[which] for name, values in result.metrics.items()})
    return _evaluate_all(model, layout, held, data, draw)


def _evaluate_all(
    model: SemanticModel, layout: Layout, held: Tensor, data: FederatedData, draw: ChannelDraw
) -> Evaluation:
    chunks = [
        _evaluate_chunk(model, layout, held, data, draw, torch.arange(first, min(first + _CHUNK, len(held))))
        for first in range(0, len(held), _CHUNK)
    ]
    return Evaluation(
        np.concatenate([chunk.loss for chunk in chunks]),
        {name: np.concatenate([chunk.metrics[name] for chunk in chunks]) for name in chunks[0].metrics},
    )


def _evaluate_chunk(
    model: SemanticModel, layout: Layout, held: Tensor, data: FederatedData, draw: ChannelDraw, satellites: Tensor
) -> Evaluation:
    images = data.test_images.expand(len(satellites), *data.test_images.shape)
    draws = ChannelDraw(*(part.expand(len(satellites), *part.shape) for part in draw))
    targets = data.test_targets[satellites]
    mask = None if data.train.output_mask is None else data.train.output_mask[satellites]
    with torch.no_grad():
        outputs = model.stacked_forward(layout.split(held[satellites]), images, draws)
        loss = (model.sample_loss(outputs, images, targets, mask) * data.test_weights[satellites]).sum(dim=1)
        metrics = model.metrics(outputs, images, targets, mask)
    return Evaluation(loss.double().numpy(), {name: value.double().numpy() for name, value in metrics.items()})


def training_loss(
    model: SemanticModel, layout: Layout, held: Tensor, data: LocalData, generator: torch.Generator
) -> FloatArray:
    """Mean loss of each satellite's model, parameters `held` (S, P), on its own training samples, (S,).

    The model's own parameters are overwritten.
    """
    losses = np.zeros(len(held))
    with torch.no_grad():
        for satellite, (first, last) in enumerate(itertools.pairwise(data.offsets.tolist())):
            images, targets = data.images[first:last], data.targets[first:last]
            mask = None if data.output_mask is None else data.output_mask[satellite]
            layout.load(model, held[satellite])
            outputs = model(images, model.draw_channel(last - first, generator))
            losses[satellite] = model.sample_loss(outputs, images, targets, mask).mean()
    return losses
