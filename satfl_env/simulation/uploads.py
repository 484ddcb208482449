"""The satellites' updates as a server receives them: with noise, and compared with each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LARGEST_USABLE
from satfl_env.simulation.models import take_rows
from satfl_env.simulation.state import BoolArray, FloatArray

# Columns of the matrix of cosines that are computed at a time.
_BLOCK = 128


def receive_updates(
    start: Tensor, trained: Tensor, sent: BoolArray, snr_db: float | None, generator: Callable[[], torch.Generator]
) -> tuple[Tensor, Tensor, BoolArray]:
    """Shared parameters as the server receives them, (S, P), the updates of those that came back, (R, P), and who did.

    An update of which noise leaves no parameters within 1e12 does not come back.

    Args:
        start: Shared parameters before training, (S, P).
        trained: The same after it, (S, P).
        sent: Satellites that send their update, (S,).
        snr_db: SNR at which updates arrive, in dB; None means that they arrive as they were sent.
        generator: Makes the generator of the noise.
    """
    if snr_db is None:
        members = np.flatnonzero(sent)
        return trained, take_rows(trained, members).sub_(take_rows(start, members)), sent
    updates = noisy_updates(trained - start, snr_db, generator())
    received = start + updates
    returned = sent & (received.abs() <= LARGEST_USABLE).all(dim=1).numpy()
    return received, take_rows(updates, np.flatnonzero(returned)), returned


def noisy_updates(updates: Tensor, snr_db: float, generator: torch.Generator) -> Tensor:
    """Updates as received over an analogue link: white Gaussian noise at an SNR of each update's own power.

    Task clustering names noisy model updates as future work (section V).

    Args:
        updates: One update per row, (S, P).
        snr_db: Mean power of an update's entries over the power of the noise, in dB.
        generator: Generator of the noise; every row draws its own, whichever others are there.

    Returns:
        A new tensor, (S, P).
    """
    power = updates.square().mean(dim=1, keepdim=True)
    noise = torch.randn(updates.shape, generator=generator).to(updates)
    received: Tensor = updates + noise * (power * 10.0 ** (-snr_db / 10.0)).sqrt()
    return received


def update_cosines(updates: Tensor) -> FloatArray:
    """Cosine similarity of every two updates, (R, P) -> (R, R), in [-1, 1].

    F. Sattler, K.-R. Müller, W. Samek, "Clustered Federated Learning", IEEE TNNLS 32(8), 2021. An update that is all
    zero has similarity 0 to all others.
    """
    norm = updates.norm(dim=1, keepdim=True)
    unit = updates / norm.clamp(min=torch.finfo(updates.dtype).tiny)
    cosines = unit.new_empty(len(unit), len(unit))
    # Every two of them once: the other half of the matrix is its mirror image.
    for first in range(0, len(unit), _BLOCK):
        last = min(first + _BLOCK, len(unit))
        products = unit[first:] @ unit[first:last].T
        cosines[first:, first:last] = products
        cosines[first:last, last:] = products[last - first :].T
    return np.asarray(cosines.clamp_(-1.0, 1.0).double())


def refreshed(similarity: FloatArray, updates: Tensor, returned: BoolArray) -> FloatArray:
    """A similarity matrix (S, S) with the cosines of new updates (R, P) of those that `returned` (S,).

    The others keep theirs. Where there is nothing to compare, it is the matrix itself, and else a new one.
    """
    if not updates.numel():
        return similarity
    members = np.flatnonzero(returned)
    similarity = similarity.copy()
    similarity[np.ix_(members, members)] = update_cosines(updates)
    np.fill_diagonal(similarity, 1.0)
    return similarity
