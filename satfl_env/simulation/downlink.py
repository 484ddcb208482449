"""Models as satellites receive them from gateways."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from satfl_env.federated import Compression
from satfl_env.simulation.models import Downlink
from satfl_env.simulation.streams import torch_generator


def downlink(compression: Compression, seed: int, round_index: int) -> Downlink | None:
    """What the downloads of a round make of models; None where they arrive as they are."""
    return None if compression.download is None else partial(_fetch, compression, seed, round_index)


def _fetch(compression: Compression, seed: int, round_index: int, models: Tensor, occasion: int) -> Tensor:
    return compression.fetch(models, torch_generator(seed, "downlink", round_index, occasion))
