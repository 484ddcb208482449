"""Initial weights from an explicit generator, so that a model never touches the global random state."""

from __future__ import annotations

from math import prod

import torch
from torch import nn

from satfl_env.memory import check_fits

_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Fill a module, on the CPU or just built on the meta device, with torch's default for its layers.

    Linear and convolutional layers: uniform in [-1/sqrt(fan_in), 1/sqrt(fan_in)], weights and biases; float32.

    Raises:
        ValueError: If the weights of a module on the meta device do not fit the memory.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _LAYERS)]
    if any(layer.weight.is_meta for layer in layers):
        count = sum(parameter.numel() for parameter in module.parameters())
        check_fits(4 * count, f"{count} parameters")
        # `to_empty` would first import SymPy, for half a second.
        empty = {name: torch.empty(value.shape, dtype=value.dtype) for name, value in module.state_dict().items()}
        module.load_state_dict(empty, assign=True)
    with torch.no_grad():
        for layer in layers:
            weight, bias = layer.weight, layer.bias
            bound = prod(weight.shape[1:]) ** -0.5
            weight.uniform_(-bound, bound, generator=generator)
            if bias is not None:
                bias.uniform_(-bound, bound, generator=generator)
