"""Test metrics: accuracies of a classifying decoder, PSNR and MS-SSIM of a reconstructing one."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# Wang, Simoncelli and Bovik, 2003; window and constants from Wang, Bovik, Sheikh and Simoncelli, 2004.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_RADIUS = 5
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2
# The ratio where every pixel is wrong by the rounding of single precision.
_HIGHEST_PSNR_DB = -20 * math.log10(torch.finfo(torch.float32).eps)


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of correct decisions, one per sample and channel draw; (*, B, L, C) and (*, B) -> (*,)."""
    return _hit_rate(logits, targets).mean(-1)


def balanced_accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over the classes that occur in `targets` of the share of them decided correctly.

    Args:
        logits: Shape (*, B, L, C), masked classes at -inf.
        targets: Class indices in 0..C-1, shape (*, B).

    Returns:
        Shape (*,), in [0, 1].
    """
    classes = torch.arange(logits.shape[-1], device=targets.device).view(-1, *[1] * targets.dim())
    member = (targets == classes).to(logits.dtype)
    size = member.sum(-1)
    recall = (member * _hit_rate(logits, targets)).sum(-1) / size.clamp(min=1)
    return recall.sum(0) / (size > 0).sum(0)


def psnr_db(outputs: Tensor, images: Tensor) -> Tensor:
    r"""Peak signal-to-noise ratio in dB of each image in [0, 1]; (*, B, C, H, W) -> (*, B) (SemSpaceFL, eq. 22).

    $$\mathrm{PSNR} = 10 \log_{10} \frac{1}{\mathrm{MSE}(\hat{x}, x)}$$

    At most 138.47 dB, which a perfect image has: errors of $2^{-23}$, the rounding of single precision, give as much.
    Values outside [0, 1] count as the nearest inside.
    """
    error = (outputs.clamp(0, 1) - images.clamp(0, 1)).square().mean((-3, -2, -1))
    return (error.log() * (-10 / math.log(10))).clamp(max=_HIGHEST_PSNR_DB)


def ms_ssim_scales(height: int, width: int) -> int:
    """Number of scales, 1..5, whose coarsest still holds one 11-pixel window; 1 for images below that."""
    side, scales = min(height, width), 1
    while scales < len(_SCALE_WEIGHTS) and (side := math.ceil(side / 2)) > 2 * _RADIUS:
        scales += 1
    return scales


def ms_ssim(outputs: Tensor, images: Tensor) -> Tensor:
    r"""Multi-scale structural similarity of each image in [0, 1]; (*, B, C, H, W) -> (*, B).

    $$\overline{l_M c_M s_M}^{\,w_M} \prod_{j=1}^{M - 1} \overline{c_j s_j}^{\,w_j}$$

    As Wang, Simoncelli and Bovik define it (*Multiscale structural similarity for image quality assessment*, Asilomar
    2003) for gray images, and the mean of that over the channels. Means over an image are of windows that lie wholly in
    it; negative ones count as 0. The number of scales M is `ms_ssim_scales`. Five have the printed weights, fewer the
    first of these, normalised to sum to 1. Images of fewer than 11 pixels per side get a proportionally narrower
    Gaussian window.

    Raises:
        ValueError: If a side is shorter than 3 pixels.
    """
    height, width = images.shape[-2:]
    if min(height, width) < 3:
        raise ValueError(f"image size is {height}x{width}; MS-SSIM needs at least 3x3 pixels")
    weights = images.new_tensor(_SCALE_WEIGHTS[: ms_ssim_scales(height, width)])
    weights /= weights.sum().clamp(max=1.0)  # the printed five sum to 1.0001
    window = _gaussian(min(_RADIUS, (min(height, width) - 1) // 2)).to(images)
    pair = torch.stack([outputs, images]).flatten(1, -3)  # every channel is an image of its own
    terms = []
    for _ in weights:
        luminance, contrast = _similarity(pair, window)
        terms.append(contrast.mean((-2, -1)))
        last = (luminance * contrast).mean((-2, -1))
        # Of an odd side, the last pixel stands alone, as under symmetric extension.
        pair = F.avg_pool2d(pair, 2, ceil_mode=True)
    similarity = torch.stack([*terms[:-1], last], -1).relu().pow(weights).prod(-1)
    return similarity.view(images.shape[:-2]).mean(-1)


def _gaussian(radius: int) -> Tensor:
    """Gaussian window of 2 `radius` + 1 pixels, its width in proportion; it sums to 1."""
    offset = torch.arange(-radius, radius + 1, dtype=torch.float64)
    return torch.softmax(-0.5 * (offset * _RADIUS / (radius * _SIGMA)) ** 2, 0)


def _similarity(pair: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance and contrast-structure term of two stacks of gray images, (2, N, H, W), at each whole window."""
    one, other = pair
    moments = torch.stack([one, other, one * one, other * other, one * other])
    down, across = (_windows(side, window) for side in pair.shape[-2:])
    mean_1, mean_2, square_1, square_2, product = down.mT @ moments @ across
    both, squares = mean_1 * mean_2, mean_1**2 + mean_2**2
    luminance = (2 * both + _C1) / (squares + _C1)
    return luminance, (2 * (product - both) + _C2) / (square_1 + square_2 - squares + _C2)


def _windows(side: int, window: Tensor) -> Tensor:
    """The window at each place along a side where it fits, one per column; as a product, far faster than convolving."""
    places = torch.eye(side, dtype=window.dtype, device=window.device).unsqueeze(1)
    return F.conv1d(places, window.view(1, 1, -1)).squeeze(1)


def _hit_rate(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of the L draws in which each sample is decided correctly, (*, B)."""
    # `max` finds the first highest class as `argmax` does, on short axes up to twenty times as fast.
    return (logits.max(-1).indices == targets.unsqueeze(-1)).to(logits.dtype).mean(-1)
