from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from sklearn.metrics import balanced_accuracy_score
from torch.nn import functional as F

from satfl_env.semantics import accuracy, balanced_accuracy, infomax_loss, mask_logits, ms_ssim, ms_ssim_scales, psnr_db


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_infomax_is_the_mean_cross_entropy_over_draws():
    logits = torch.randn(5, 3, 4, generator=generator(), dtype=torch.float64)
    targets = torch.tensor([0, 3, 2, 2, 1])
    probability = logits.exp() / logits.exp().sum(-1, keepdim=True)
    by_hand = [-np.mean([np.log(float(probability[b, draw, targets[b]])) for draw in range(3)]) for b in range(5)]
    assert infomax_loss(logits, targets).numpy() == pytest.approx(np.array(by_hand))


def test_infomax_ignores_classes_the_decoder_lacks():
    logits = torch.randn(2, 5, 3, 4, generator=generator())
    targets = torch.randint(0, 2, (2, 5), generator=generator())
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    loss = infomax_loss(logits, targets, mask)
    assert torch.allclose(loss[0], infomax_loss(logits[0, ..., :2], targets[0]))
    assert torch.allclose(loss[1], infomax_loss(logits[1], targets[1]))


def test_accuracies_agree_with_scikit_learn():
    rng = np.random.default_rng(3)
    logits = torch.from_numpy(rng.normal(size=(7, 50, 2, 4)))
    targets = torch.from_numpy(rng.choice(4, size=(7, 50), p=[0.6, 0.3, 0.1, 0.0]))
    balanced, plain = balanced_accuracy(logits, targets), accuracy(logits, targets)
    for satellite in range(7):
        truth = targets[satellite].repeat_interleave(2).numpy()
        decided = logits[satellite].argmax(-1).flatten().numpy()
        with pytest.warns(UserWarning, match="y_pred") if not set(decided) <= set(truth) else nullcontext():
            expected = balanced_accuracy_score(truth, decided)
        assert float(balanced[satellite]) == pytest.approx(expected)
        assert float(plain[satellite]) == pytest.approx((truth == decided).mean())


def test_masked_class_is_never_decided():
    logits = torch.tensor([[[0.0, 1.0, 9.0]]])
    masked = mask_logits(logits, torch.tensor([True, True, False]))
    assert int(masked.argmax(-1)) == 1


def test_psnr_is_its_definition_per_image():
    first, second = torch.rand(2, 4, 3, 16, 16, generator=generator())
    expected = [10 * np.log10(1.0 / float((first[i] - second[i]).square().mean())) for i in range(4)]
    assert psnr_db(first, second).numpy() == pytest.approx(np.array(expected), rel=1e-5)
    stacked = psnr_db(first.unflatten(0, (2, 2)), second.unflatten(0, (2, 2)))
    assert stacked.flatten().numpy() == pytest.approx(np.array(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("side", "scales"),
    [(3, 1), (8, 1), (11, 1), (21, 1), (22, 2), (32, 2), (44, 3), (64, 3), (96, 3), (99, 4), (176, 5), (512, 5)],
)
def test_scales_follow_the_image_size(side: int, scales: int):
    assert ms_ssim_scales(side, side) == scales
    assert ms_ssim_scales(side, 1000) == scales


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 11, 12), (3, 32, 32), (3, 64, 48), (1, 99, 100), (1, 176, 176)])
def test_ms_ssim_is_its_definition(shape: tuple[int, int, int]):
    images = _smooth(2, shape)
    noisy = (images + 0.1 * torch.randn(images.shape, generator=generator(1), dtype=torch.float64)).clamp(0, 1)
    expected = [_ms_ssim_by_hand(noisy[i].numpy(), images[i].numpy()) for i in range(2)]
    assert ms_ssim(noisy, images).numpy() == pytest.approx(np.array(expected), abs=1e-5)


def test_ms_ssim_of_equal_images_is_one_and_images_are_apart():
    images = _smooth(4, (3, 32, 32)).float()
    assert ms_ssim(images, images).numpy() == pytest.approx(np.ones(4), abs=1e-6)
    noisy = (images + 0.2 * torch.randn(images.shape, generator=generator(1))).clamp(0, 1)
    together = ms_ssim(noisy.unflatten(0, (2, 2)), images.unflatten(0, (2, 2)))
    assert together.shape == (2, 2)
    assert torch.allclose(together[1, 0], ms_ssim(noisy[2:3], images[2:3])[0], atol=1e-6)


def test_ms_ssim_rejects_tiny_images():
    with pytest.raises(ValueError, match="at least 3x3"):
        ms_ssim(torch.zeros(1, 1, 2, 8), torch.zeros(1, 1, 2, 8))


def _smooth(count: int, shape: tuple[int, int, int]) -> torch.Tensor:
    coarse = torch.rand(count, shape[0], 5, 5, generator=generator(), dtype=torch.float64)
    return F.interpolate(coarse, shape[1:], mode="bicubic").clamp(0, 1)


def _ms_ssim_by_hand(x: np.ndarray, y: np.ndarray) -> float:
    """Wang, Simoncelli and Bovik (2003) on one image, window by SciPy; luminance at the coarsest scale alone."""
    radius = min(5, (min(x.shape[1:]) - 1) // 2)
    sigma = min(1.5, (radius + 0.4) / 3.5)
    window = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    window /= window.sum()
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[: ms_ssim_scales(*x.shape[1:])]
    weights /= weights.sum()

    def blur(image: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(image, window, 1, mode="mirror"), window, 2, mode="mirror")

    product = 1.0
    for scale, weight in enumerate(weights):
        mean_x, mean_y = blur(x), blur(y)
        var_x, var_y = np.maximum(blur(x * x) - mean_x**2, 0), np.maximum(blur(y * y) - mean_y**2, 0)
        contrast = (2 * (blur(x * y) - mean_x * mean_y) + 0.03**2) / (var_x + var_y + 0.03**2)
        if scale == len(weights) - 1:
            luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
            term = (luminance * contrast).mean()
        else:
            term = contrast[:, radius:-radius, radius:-radius].mean()
        product *= max(term, 0.0) ** weight
        height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
        x, y = (
            image[:, :height, :width].reshape(len(image), height // 2, 2, width // 2, 2).mean((2, 4))
            for image in (x, y)
        )
    return product
