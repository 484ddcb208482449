from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from scipy.signal import convolve2d
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
    outside = torch.tensor([-0.5, 1.5]).repeat(32).view(1, 1, 8, 8)
    assert float(psnr_db(outside, torch.full((1, 1, 8, 8), 0.5))) == pytest.approx(10 * np.log10(1 / 0.5**2), rel=1e-5)


def test_psnr_of_perfect_images_is_finite_and_no_smaller_than_of_any_other():
    images = torch.full((1, 1, 8, 8), 0.25)
    nearly = images.repeat(3, 1, 1, 1)
    nearly[1, 0, 0, 0] += 2**-25  # the next number
    nearly[2] += 2**-21
    perfect, next_to_it, other = psnr_db(nearly, images.expand_as(nearly)).tolist()
    assert perfect == pytest.approx(20 * np.log10(2.0**23), abs=1e-4)
    assert perfect == next_to_it
    assert other == pytest.approx(20 * np.log10(2.0**21), abs=1e-4)


@pytest.mark.parametrize(
    ("side", "scales"),
    [(3, 1), (8, 1), (11, 1), (20, 1), (21, 2), (41, 3), (64, 3), (80, 3), (81, 4), (160, 4), (161, 5), (512, 5)],
)
def test_scales_follow_the_image_size(side: int, scales: int):
    assert ms_ssim_scales(side, side) == scales
    assert ms_ssim_scales(side, 1000) == scales


@pytest.mark.parametrize(
    "shape",
    [(1, 3, 3), (1, 8, 8), (1, 11, 12), (3, 21, 33), (3, 64, 48), (3, 64, 64), (1, 99, 100), (3, 161, 176)],
)
@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_ms_ssim_is_its_definition(shape: tuple[int, int, int], noise: float):
    images = _smooth(2, shape)
    noisy = (images + noise * torch.randn(images.shape, generator=generator(1), dtype=torch.float64)).clamp(0, 1)
    expected = [
        np.mean([_ms_ssim_by_hand(*channel) for channel in zip(noisy[i].numpy(), images[i].numpy(), strict=True)])
        for i in range(2)
    ]
    assert ms_ssim(noisy, images).numpy() == pytest.approx(np.array(expected), abs=1e-9)
    # In single precision, rounding of one flat window shows where there are only a few.
    tolerance = 1e-5 if min(shape[1:]) > 30 else 1e-4
    assert ms_ssim(noisy.float(), images.float()).numpy() == pytest.approx(np.array(expected), abs=tolerance)


def test_ms_ssim_of_opposite_images_is_zero():
    images = _smooth(1, (1, 64, 64))
    assert ms_ssim(1 - images, images).tolist() == [0.0]


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
    """Wang, Simoncelli and Bovik (2003) on one gray image: whole windows alone, luminance at the coarsest scale."""
    radius = min(5, (min(x.shape) - 1) // 2)
    window = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * (1.5 * radius / 5) ** 2))
    window = np.outer(window, window) / window.sum() ** 2
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[: ms_ssim_scales(*x.shape)]
    if len(weights) < 5:
        weights /= weights.sum()

    def blur(image: np.ndarray) -> np.ndarray:
        return convolve2d(image, window, mode="valid")

    product = 1.0
    for scale, weight in enumerate(weights):
        mean_x, mean_y = blur(x), blur(y)
        term = (2 * (blur(x * y) - mean_x * mean_y) + 0.03**2) / (
            blur(x * x) - mean_x**2 + blur(y * y) - mean_y**2 + 0.03**2
        )
        if scale == len(weights) - 1:
            term *= (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        product *= max(term.mean(), 0.0) ** weight
        # The mean with the next pixel, symmetrically extended, at every other one.
        x, y = (uniform_filter(image, 2, mode="reflect", origin=-1)[::2, ::2] for image in (x, y))
    return product
