"""Classification: any PyTorch module that gives logits, as a model for federated learning."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from satfl_env.semantics.losses import infomax_loss, mask_logits
from satfl_env.semantics.metrics import accuracy, balanced_accuracy
from satfl_env.semantics.model import SemanticModel


class Classifier(SemanticModel):
    """A plain module from images to logits, trained by cross entropy, without a channel.

    The module's parameters are named `encoder.*`, those of the head `decoder.*`: with `training.shared: encoder` the
    whole module is federated and only a head stays on board; with `all` both are federated.

    Args:
        module: From images (B, C, H, W) to logits (B, classes), or, with a head, to features.
        head: From features to logits; None where the module gives them.
    """

    def __init__(self, module: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = module
        self.decoder = nn.Identity() if head is None else head

    def forward(self, images: Tensor, draw: Any) -> Tensor:
        """Images (B, C, H, W) to logits (B, 1, classes)."""
        logits: Tensor = self.decoder(self.encoder(images)).unsqueeze(-2)
        return logits

    def sample_loss(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> Tensor:
        """Cross entropy of each sample, the mean over channel draws, (*, B); see `infomax_loss`. Ignores images."""
        return infomax_loss(outputs, targets, output_mask)

    def metrics(
        self, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`accuracy` and `balanced_accuracy` in [0, 1], shape (*,), over samples and channel draws."""
        logits = mask_logits(outputs, output_mask)
        return {"accuracy": accuracy(logits, targets), "balanced_accuracy": balanced_accuracy(logits, targets)}
