"""Base class of models that reconstruct their images."""

from __future__ import annotations

from torch import Tensor

from satfl_env.semantics.losses import reconstruction_loss
from satfl_env.semantics.metrics import ms_ssim, psnr_db
from satfl_env.semantics.model import SemanticModel


class Autoencoder(SemanticModel):
    """A model that reconstructs its images, (B, C, H, W) in [0, 1]; implement `forward`."""

    def sample_loss(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> Tensor:
        """Mean squared error of each image, (*, B). Targets and mask are not read."""
        return reconstruction_loss(outputs, images)

    def metrics(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`psnr_db` and `ms_ssim`, shape (*,), each the mean over the images."""
        return {"psnr_db": psnr_db(outputs, images).mean(-1), "ms_ssim": ms_ssim(outputs, images).mean(-1)}
