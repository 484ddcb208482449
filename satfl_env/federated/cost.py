"""What a forward pass costs."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from satfl_env.federated.model import TrainableModel
from satfl_env.federated.parameters import Layout
from satfl_env.imports import tidy_imports


def forward_flops(model: TrainableModel, images: Tensor) -> int:
    """Floating-point operations of a forward pass per image; a multiplication and an addition count as two.

    Args:
        model: The model; left as it is.
        images: At least one image, (N, ...).
    """
    probe, layout = copy.deepcopy(model), Layout.of(model)
    layout.load(probe, layout.flatten(model).to(images))
    draw = probe.draw_channel(1, torch.Generator().manual_seed(0))
    with tidy_imports():
        # It takes longer to import than all of this package, and imports even more once it counts.
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, torch.no_grad():
            probe(images[:1], type(draw)(*(part.to(images.device) for part in draw)))
    return int(counter.get_total_flops())
