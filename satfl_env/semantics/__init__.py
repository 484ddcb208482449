"""What satellites learn: encoders, decoders, channels, losses, metrics and the similarity of tasks."""

from __future__ import annotations

from satfl_env.semantics.autoencoder import Autoencoder
from satfl_env.semantics.channel import Channel, ChannelDraw, normalise_power, transmit
from satfl_env.semantics.check import check_model
from satfl_env.semantics.classifier import Classifier
from satfl_env.semantics.conv_jscc import ConvJSCC
from satfl_env.semantics.losses import infomax_loss, mask_logits, reconstruction_loss
from satfl_env.semantics.metrics import accuracy, balanced_accuracy, ms_ssim, ms_ssim_scales, psnr_db
from satfl_env.semantics.mlp_link import MLPLink
from satfl_env.semantics.model import NoChannelDraw, SemanticModel
from satfl_env.semantics.similarity import jensen_shannon_divergence, semantic_similarity
from satfl_env.semantics.swin_jscc import SwinJSCC

__all__ = [
    "Autoencoder",
    "Channel",
    "ChannelDraw",
    "Classifier",
    "ConvJSCC",
    "MLPLink",
    "NoChannelDraw",
    "SemanticModel",
    "SwinJSCC",
    "accuracy",
    "balanced_accuracy",
    "check_model",
    "infomax_loss",
    "jensen_shannon_divergence",
    "mask_logits",
    "ms_ssim",
    "ms_ssim_scales",
    "normalise_power",
    "psnr_db",
    "reconstruction_loss",
    "semantic_similarity",
    "transmit",
]
