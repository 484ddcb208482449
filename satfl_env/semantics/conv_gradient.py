"""Convolutions of many satellites and their gradient in closed form.

Satellites lie side by side on the channel axis, one group each: maps are (B, S * C, H, W).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

PADDING = 2
# A CPU computes this many feature maps at once.
_VECTOR_WIDTH = 16


class ConvLayer(NamedTuple):
    """A 5x5 convolution that divides the size of its maps by its stride or, where transposed, multiplies it.

    Attributes:
        name: Prefix of its parameters.
        stride: 1 or 2.
        transposed: Whether it is a transposed convolution.
    """

    name: str
    stride: int
    transposed: bool = False


def side_by_side(images: Tensor) -> Tensor:
    """Images (S, B, C, H, W) as maps (B, S * C, H, W), channels last, which is how a CPU convolves fastest."""
    return images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def satellite_first(maps: Tensor, satellites: int) -> Tensor:
    """Maps (B, S * C, H, W) as (S, B, C, H, W); undoes `side_by_side`."""
    stacked: Tensor = maps.unflatten(1, (satellites, -1)).transpose(0, 1)
    return stacked


def convolve(parameters: Mapping[str, Tensor], layer: ConvLayer, maps: Tensor) -> Tensor:
    """Apply a layer of every satellite; maps in and out are (B, S * C, H, W)."""
    weight, bias = parameters[f"{layer.name}.weight"], parameters[f"{layer.name}.bias"].flatten()
    apply = _transposed if layer.transposed else _plain
    return apply(maps, weight, bias, layer.stride)


def convolve_backward(
    parameters: Mapping[str, Tensor],
    layer: ConvLayer,
    inputs: Tensor,
    outputs_gradient: Tensor,
    gradient: Mapping[str, Tensor],
    *,
    inputs_too: bool,
) -> Tensor:
    """Write the gradient of a layer's weight and bias, from its inputs and the gradient of its outputs.

    Returns:
        The gradient of the inputs, of their shape; undefined without `inputs_too`.
    """
    weight, bias = (gradient[f"{layer.name}.{part}"] for part in ("weight", "bias"))
    inputs_gradient: Tensor
    # The operation that automatic differentiation calls: one call for all three gradients.
    inputs_gradient, weight_gradient, bias_gradient = torch.ops.aten.convolution_backward(
        outputs_gradient,
        inputs,
        parameters[f"{layer.name}.weight"].flatten(0, 1),
        [bias.numel()],
        [layer.stride] * 2,
        [PADDING] * 2,
        [1, 1],
        layer.transposed,
        [layer.stride - 1 if layer.transposed else 0] * 2,
        len(weight),
        [inputs_too, True, True],
    )
    weight.copy_(weight_gradient.view(weight.shape))
    bias.copy_(bias_gradient.view(bias.shape))
    return inputs_gradient


def _plain(maps: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Convolution with weights (S, out, in, 5, 5)."""
    return F.conv2d(maps, weight.flatten(0, 1), bias, stride, PADDING, groups=len(weight))


def _transposed(maps: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Transposed convolution with weights (S, in, out, 5, 5)."""
    satellites, _, outputs = weight.shape[:3]
    if stride == 2 and 4 * outputs <= _VECTOR_WIDTH:
        return _subpixel(maps, weight, bias)
    return F.conv_transpose2d(maps, weight.flatten(0, 1), bias, stride, PADDING, stride - 1, satellites)


def _subpixel(maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The transposed convolution of stride 2 as a 3x3 convolution that gives the four pixels of each 2x2 block.

    With few outputs it takes a third of the time: together the four fill a vector.
    """
    blocks = F.pixel_unshuffle(F.pad(weight, (0, 1, 0, 1)).flatten(0, 1), 2)
    kernel = blocks.unflatten(0, weight.shape[:2]).transpose(1, 2).flatten(0, 1).flip(2, 3)
    block_bias = None if bias is None else bias.repeat_interleave(4)
    return F.pixel_shuffle(F.conv2d(maps, kernel, block_bias, 1, 1, groups=len(weight)), 2)
