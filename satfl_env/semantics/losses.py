"""Training losses, one value per sample."""

from __future__ import annotations

from torch import Tensor


def mask_logits(logits: Tensor, output_mask: Tensor | None) -> Tensor:
    """Set the logits (*, B, L, C) of classes that a decoder does not have, `output_mask` (*, C), to -inf.

    Raises:
        ValueError: If there are not as many logits as classes.
    """
    if output_mask is None:
        return logits
    if logits.shape[-1] != output_mask.shape[-1]:
        raise ValueError(f"there are {logits.shape[-1]} logits for {output_mask.shape[-1]} classes")
    return logits.masked_fill(~output_mask[..., None, None, :], float("-inf"))


def class_log_softmax(logits: Tensor) -> Tensor:
    """Logarithmic softmax over the last axis.

    PyTorch's own takes ten times as long where that axis is as short as with a handful of classes.
    """
    return logits.movedim(-1, 0).contiguous().log_softmax(0).movedim(0, -1)


def infomax_loss(logits: Tensor, targets: Tensor, output_mask: Tensor | None = None) -> Tensor:
    r"""Empirical InfoMax loss: cross entropy averaged over L channel draws (task-clustering paper, eq. 4).

    $$\ell(s, z) = -\frac{1}{L} \sum_{l=1}^{L} \log p_\phi(z \mid y_l), \qquad
    y_l = f_\theta(s) + n_l, \quad n_l \sim \mathcal{N}(0, \sigma^2 I)$$

    Args:
        logits: Decoder outputs, shape (*, B, L, C).
        targets: Class indices, int64, shape (*, B).
        output_mask: True where a class exists, shape (*, C); None means all of them.

    Returns:
        Loss per sample in nats, shape (*, B).
    """
    log_probability = class_log_softmax(mask_logits(logits, output_mask))
    index = targets[..., None, None].expand(*logits.shape[:-1], 1)
    return -log_probability.gather(-1, index).squeeze(-1).mean(-1)


def reconstruction_loss(outputs: Tensor, images: Tensor) -> Tensor:
    r"""Mean squared error of each image, $\frac{1}{n} \lVert \hat{x} - x \rVert^2$; (*, B, C, H, W) -> (*, B)."""
    return (outputs - images).square().mean((-3, -2, -1))
