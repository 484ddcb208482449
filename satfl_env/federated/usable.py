"""Which trained models can be used at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.local import LocalData
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.parameters import Layout

LARGEST_USABLE = 1e12
"""Losses and parameters beyond this size count as diverged: their squares and sums stay finite in single precision."""

TRIED = 4
"""Samples of each satellite that its trained model is tried on; where there are fewer, they are repeated."""

MODELS_AT_ONCE = 24
"""Models in one forward pass outside training: about as many as fit into the processor's cache."""


def is_usable(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Whether losses or parameters are numbers within `LARGEST_USABLE`, neither NaN nor infinite; any shape."""
    return np.asarray(np.abs(values) <= LARGEST_USABLE)


def usable_models(
    model: TrainableModel, layout: Layout, rows: Tensor, data: LocalData, satellites: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether each trained model has parameters within `LARGEST_USABLE`, and such a loss on samples of its satellite.

    The last step of training is followed by no loss: a model of finite parameters may overflow at its next use, and
    merged with others it would spoil theirs.

    Args:
        model: Gives the computation.
        layout: Its layout.
        rows: Trained parameters, (A, P).
        data: The data of all satellites.
        satellites: The satellite of each row, which has at least one sample, (A,).

    Returns:
        Shape (A,).
    """
    chunks = torch.arange(len(rows)).split(MODELS_AT_ONCE)
    losses = [_losses(model, layout, rows[chunk], data, satellites[chunk.numpy()]) for chunk in chunks]
    small = (rows.abs() <= LARGEST_USABLE).all(dim=1).cpu().numpy()
    return np.asarray(small & is_usable(np.concatenate(losses)).all(axis=1))


def trial_channel(model: TrainableModel) -> Any:
    """The channel draw of every trial."""
    return model.draw_channel(TRIED, torch.Generator().manual_seed(0))


def _losses(
    model: TrainableModel, layout: Layout, rows: Tensor, data: LocalData, satellites: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Losses of models on the first samples of their satellites, (A, n)."""
    sample = np.arange(TRIED) % data.samples[satellites][:, None] + data.offsets[satellites][:, None]
    index, owner = (torch.from_numpy(it).to(data.images.device) for it in (sample, satellites))
    draw = trial_channel(model)
    with torch.no_grad():
        images, targets = data.images[index], data.targets[index]
        mask = None if data.output_mask is None else data.output_mask[owner]
        channel = type(draw)(*(part.to(images.device).expand(len(rows), *part.shape) for part in draw))
        outputs = model.stacked_forward(layout.split(rows.to(images.device)), images, channel)
        losses: NDArray[np.float64] = model.sample_loss(outputs, images, targets, mask).double().cpu().numpy()
    return losses
