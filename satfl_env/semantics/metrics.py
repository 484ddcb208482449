"""Test metrics: accuracies of a classifying decoder, PSNR and MS-SSIM of a reconstructing one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik, 2003
_WINDOW = 11
_SIGMA = 1.5


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
    member = F.one_hot(targets, logits.shape[-1]).to(logits.dtype)
    size = member.sum(-2)
    recall = (member * _hit_rate(logits, targets).unsqueeze(-1)).sum(-2) / size.clamp(min=1)
    return recall.sum(-1) / (size > 0).sum(-1)


def psnr_db(outputs: Tensor, images: Tensor) -> Tensor:
    r"""Peak signal-to-noise ratio in dB of each image in [0, 1]; (*, B, C, H, W) -> (*, B) (SemSpaceFL, eq. 22).

    $$\mathrm{PSNR} = 10 \log_{10} \frac{1}{\mathrm{MSE}(\hat{x}, x)}$$
    """
    # Imported here: torchmetrics brings torchvision along, which takes seconds that classifiers need not wait for.
    from torchmetrics.functional.image import peak_signal_noise_ratio

    ratio: Tensor = peak_signal_noise_ratio(
        outputs.flatten(0, -4), images.flatten(0, -4), data_range=(0.0, 1.0), reduction="none", dim=(1, 2, 3)
    )
    return ratio.view(outputs.shape[:-3])


def ms_ssim_scales(height: int, width: int) -> int:
    """Number of scales, 1..5, whose coarsest still holds one 11-pixel window; 1 for images below that."""
    side = min(height, width)
    # (n - 1)^2 is the library's own limit; it exceeds 2^(n - 1) at four scales only.
    fitting = [n for n in range(1, 6) if side // max(2 ** (n - 1), (n - 1) ** 2) >= _WINDOW]
    return max(fitting, default=1)


def ms_ssim(outputs: Tensor, images: Tensor) -> Tensor:
    """Multi-scale structural similarity of each image in [0, 1]; (*, B, C, H, W) -> (*, B).

    The number of scales is `ms_ssim_scales`, their weights the first of the usual five, normalised to sum to 1.
    Images of fewer than 11 pixels per side get a proportionally narrower Gaussian window.

    Raises:
        ValueError: If a side is shorter than 3 pixels.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    height, width = images.shape[-2:]
    if min(height, width) < 3:
        raise ValueError(f"image size is {height}x{width}; MS-SSIM needs at least 3x3 pixels")
    weights = _SCALE_WEIGHTS[: ms_ssim_scales(height, width)]
    radius = min(_WINDOW // 2, (min(height, width) - 1) // 2)
    similarity: Tensor = multiscale_structural_similarity_index_measure(
        outputs.flatten(0, -4),
        images.flatten(0, -4),
        sigma=min(_SIGMA, (radius + 0.4) / 3.5),  # the library derives the radius as int(3.5 sigma + 0.5)
        kernel_size=2 * radius + 1,
        reduction="none",
        data_range=1.0,
        betas=tuple(weight / sum(weights) for weight in weights),
    )
    return similarity.view(outputs.shape[:-3])


def _hit_rate(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of the L draws in which each sample is decided correctly, (*, B)."""
    return (logits.argmax(-1) == targets.unsqueeze(-1)).to(logits.dtype).mean(-1)
