"""What is learned: encoders, decoders, channels, losses, metrics and the similarity of tasks."""

from __future__ import annotations

from satfl_env.semantics.channel import Channel, ChannelDraw, normalise_power, transmit
from satfl_env.semantics.conv_jscc import ConvJSCC
from satfl_env.semantics.losses import infomax_loss, mask_logits, reconstruction_loss
from satfl_env.semantics.metrics import accuracy, balanced_accuracy, ms_ssim, ms_ssim_scales, psnr_db
from satfl_env.semantics.mlp_link import MLPLink
from satfl_env.semantics.similarity import jensen_shannon_divergence, semantic_similarity
from satfl_env.semantics.swin_jscc import SwinJSCC

__all__ = [
    "Channel",
    "ChannelDraw",
    "ConvJSCC",
    "MLPLink",
    "SwinJSCC",
    "accuracy",
    "balanced_accuracy",
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
