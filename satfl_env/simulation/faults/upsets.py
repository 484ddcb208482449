"""Single-event upsets: bits of models that radiation flips in memory."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from satfl_env.federated import take_rows
from satfl_env.simulation.state import FloatArray, IntArray

_WORD_BITS = 32


def upset_models(
    models: Tensor, probability: FloatArray, rng: np.random.Generator
) -> tuple[IntArray, Tensor, IntArray]:
    """Flip each bit of each model with the model's own probability.

    Args:
        models: Parameters in float32, (S, P); they stay as they are.
        probability: Probability for each bit of a model, (S,).
        rng: Generator of the draws.

    Returns:
        Models of which a bit was flipped, (R,), these models afterwards, (R, P), and how many bits of each model were
        flipped, (S,).
    """
    bits = models.shape[1] * _WORD_BITS
    flips = rng.binomial(bits, probability)
    hit = np.flatnonzero(flips)
    upset = take_rows(models, hit)
    for row, number in zip(upset.numpy(), flips[hit], strict=True):
        word, bit = np.divmod(rng.choice(bits, number, replace=False, shuffle=False), _WORD_BITS)
        np.bitwise_xor.at(row.view(np.uint32), word, np.uint32(1) << bit.astype(np.uint32))
    return hit, upset, flips
