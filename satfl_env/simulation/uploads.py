"""The satellites' updates as a server receives them: compressed, with noise, and compared with each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LARGEST_USABLE, Compression, take_rows
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

# Columns of the matrix of cosines that are computed at a time.
_BLOCK = 128


def compress_updates(
    compression: Compression,
    start: Tensor,
    trained: Tensor,
    sent: BoolArray,
    memory: Tensor,
    generator: Callable[[], torch.Generator],
) -> tuple[Tensor, BoolArray, Tensor]:
    """Shared parameters after training as gateways decompress them, (S, P), who sends them, (S,), and the new memory.

    An update of which compression leaves no parameters within 1e12 is not sent.

    Args:
        compression: How updates get smaller.
        start: Shared parameters before training, (S, P).
        trained: The same after it, (S, P).
        sent: Satellites that send their update, (S,).
        memory: What satellites remember of earlier updates, (S, P); (S, 0) where they remember nothing.
        generator: Makes the generator of the draws.
    """
    if compression.upload is None:
        return trained, sent, memory
    members = np.flatnonzero(sent)
    rows, first = torch.from_numpy(members), take_rows(start, members)
    arriving, left = compression.send(take_rows(trained, members) - first, take_rows(memory, members), generator())
    received, sent = trained.index_copy(0, rows, first + arriving), sent.copy()
    sent[members] = (first + arriving).abs().le(LARGEST_USABLE).all(dim=1).numpy()
    return received, sent, memory.index_copy(0, rows, left)


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
    norm = torch.linalg.vector_norm(updates, dim=1, keepdim=True)
    unit = updates / norm.clamp(min=torch.finfo(updates.dtype).tiny)
    cosines = unit @ unit.T if len(unit) <= _BLOCK else _products(unit)
    return np.asarray(cosines.clamp_(-1.0, 1.0).double())


def _products(unit: Tensor) -> Tensor:
    """Inner products of every two rows, each computed once: the other half of the matrix is its mirror image."""
    products = unit.new_empty(len(unit), len(unit))
    for first in range(0, len(unit), _BLOCK):
        last = min(first + _BLOCK, len(unit))
        block = unit[first:] @ unit[first:last].T
        products[first:, first:last] = block
        products[first:last, last:] = block[last - first :].T
    return products


@dataclass(frozen=True, eq=False)
class UpdateSimilarity:
    """The latest cosine of every two satellites' updates: the matrix (S, S) is made when it is asked for.

    Until then the cosines of each round are kept by themselves, so that large constellations of which few train in a
    round need no such matrix.

    Attributes:
        num_satellites: S.
        base: The matrix before some rounds, (S, S); None where no two updates had been compared.
        rounds: Satellites whose update came back in each round since, (R,), and their cosines, (R, R).
    """

    num_satellites: int
    base: FloatArray | None = None
    rounds: tuple[tuple[IntArray, FloatArray], ...] = ()

    def refreshed(self, updates: Tensor, returned: BoolArray) -> UpdateSimilarity:
        """The same with the cosines of new updates (R, P) of those that `returned` (S,); other pairs keep theirs."""
        if not updates.numel():
            return self
        known = vars(self).get("_matrix")
        rounds = () if known is not None else self.rounds
        base = self.base if known is None else known
        later = replace(self, base=base, rounds=(*rounds, (np.flatnonzero(returned), update_cosines(updates))))
        # Rounds that are kept never take more memory than the matrix.
        kept = sum(numbers.size for _, numbers in later.rounds)
        return later if kept <= self.num_satellites**2 else replace(later, base=later.filled(), rounds=())

    def matrix(self) -> FloatArray:
        """Cosines in [-1, 1]; 0 for two updates that never came back together, 1 on the diagonal, (S, S)."""
        return self._matrix

    def filled(self) -> FloatArray:
        """The matrix in a fresh array, (S, S)."""
        matrix = np.eye(self.num_satellites) if self.base is None else self.base.copy()
        for members, cosines in self.rounds:
            matrix[np.ix_(members, members)] = cosines
        np.fill_diagonal(matrix, 1.0)
        return matrix

    @cached_property
    def _matrix(self) -> FloatArray:
        return self.filled()
