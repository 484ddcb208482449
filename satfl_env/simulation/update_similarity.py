"""How alike satellites' updates are: the cosine of every two, as they were last received."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

# Columns of the matrix of cosines that are computed at a time.
_BLOCK = 128


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
            matrix[members[:, None], members] = cosines
        np.fill_diagonal(matrix, 1.0)
        return matrix

    @cached_property
    def _matrix(self) -> FloatArray:
        return self.filled()
