"""How alike satellites' updates are: the cosine of every two, as they were last received."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import torch_defaults
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

# Columns of the matrix of cosines that are computed at a time.
_BLOCK = 128
# Libraries round the numbers of a product of fewer rows in another way.
_FEWEST_ROWS = 32


def update_cosines(updates: Tensor) -> FloatArray:
    """Cosine similarity of every two updates, (R, P) -> (R, R), in [-1, 1].

    F. Sattler, K.-R. Müller, W. Samek, "Clustered Federated Learning", IEEE TNNLS 32(8), 2021. An update that is all
    zero has similarity 0 to all others.
    """
    return _cosines(_directions(updates))


def _directions(updates: Tensor) -> Tensor:
    """Updates (R, P) at length 1, (R, P); what is all zero stays so."""
    norm: Tensor = torch.linalg.vector_norm(updates, dim=1, keepdim=True)
    return updates / norm.clamp(min=torch.finfo(updates.dtype).tiny)


def _cosines(unit: Tensor) -> FloatArray:
    """Cosines of every two rows of length 1, (R, P) -> (R, R)."""
    return _in_range(unit @ unit.T if len(unit) <= _BLOCK else _products(unit))


def _in_range(products: Tensor) -> FloatArray:
    cosines: FloatArray = products.clamp_(-1.0, 1.0).double().numpy()
    return cosines


def _products(unit: Tensor) -> Tensor:
    """Inner products of every two rows, each computed once: the other half of the matrix is its mirror image."""
    products = unit.new_empty(len(unit), len(unit))
    for first in range(0, len(unit), _BLOCK):
        last = min(first + _BLOCK, len(unit))
        block = unit[first:] @ unit[first:last].T
        products[first:, first:last] = block
        products[first:last, last:] = block[last - first :].T
    return products


class _Cosines(NamedTuple):
    """Cosines of some satellites, (L,), and all whose update came back in a round, (R,): shape (L, R)."""

    some: IntArray
    members: IntArray
    cosines: FloatArray


class _Round(NamedTuple):
    """A round: satellites whose update came back, (R,), and the directions of these updates, (R, P)."""

    members: IntArray
    unit: Tensor

    def cosines(self) -> _Cosines:
        """The cosines of every two."""
        return _Cosines(self.members, self.members, _cosines(self.unit))

    def cosines_of(self, some: BoolArray) -> _Cosines:
        """The cosines of some members, a mask (R,), and all.

        There may be more rows than asked for. In single precision the numbers are those of `cosines`, to the bit.
        """
        unit, tail = self.unit, (len(some) - 1) % _BLOCK + 1
        # Where the last block of the whole product is so small, all of its rows are computed as it is.
        if tail < _FEWEST_ROWS:
            some = np.concatenate([some[:-tail], np.ones(tail, dtype=np.bool_)])
        which = np.flatnonzero(some)
        if len(unit) <= _BLOCK or 2 * len(which) > len(unit):
            return self.cosines()
        several = torch.from_numpy(np.resize(which, max(len(which), _FEWEST_ROWS)))
        products = (unit[several] @ unit.T)[: len(which)]
        if tail < _FEWEST_ROWS:
            products[-tail:, -tail:] = unit[-tail:] @ unit[-tail:].T
        return _Cosines(self.members[which], self.members, _in_range(products))


@dataclass(frozen=True, eq=False)
class UpdateSimilarity:
    """The latest cosine of every two satellites' updates: the matrix (S, S) is made when it is asked for.

    Most large rounds bring back nearly the same satellites as the one before. Their updates are kept, and of a round
    that nobody has looked at only those are compared that the next one does not replace.

    Attributes:
        num_satellites: S.
        base: The matrix before some rounds, (S, S); None where no two updates had been compared.
        known: The cosines of these rounds, in turn, without those that later rounds have replaced.
        latest: The last of the rounds, where its updates have not been compared yet.
    """

    num_satellites: int
    base: FloatArray | None = None
    known: tuple[_Cosines, ...] = ()
    latest: _Round | None = None

    def refreshed(self, updates: Tensor, returned: BoolArray) -> UpdateSimilarity:
        """The same with the cosines of new updates (R, P) of those that `returned` (S,); other pairs keep theirs."""
        if not updates.numel():
            return self
        base, known = (self._matrix, ()) if "_matrix" in vars(self) else (self.base, self.known)
        if self.latest is not None and (left := ~returned[self.latest.members]).any():
            # Also where the matrix has been made: what a round leaves does not depend on who looked at it.
            known = (*known, self.latest.cosines_of(left))
        latest = _Round(np.flatnonzero(returned), _directions(updates))
        # Updates are kept where they take not much more memory than what they are compared for.
        is_large = updates.nbytes <= 2 * _matrix_bytes(len(updates))
        if not is_large:
            known = (*known, latest.cosines())
        if sum(one.cosines.nbytes for one in known) > _matrix_bytes(self.num_satellites):
            base, known = _filled(self.num_satellites, base, known), ()
        return UpdateSimilarity(self.num_satellites, base, known, latest if is_large else None)

    def matrix(self) -> FloatArray:
        """Cosines in [-1, 1]; 0 for two updates that never came back together, 1 on the diagonal, (S, S)."""
        return self._matrix

    @cached_property
    def _matrix(self) -> FloatArray:
        known = self.known
        if self.latest is not None:
            # Whoever reads the matrix may have other settings than those of a step.
            with torch_defaults(1):
                known = (*known, self.latest.cosines())
        return _filled(self.num_satellites, self.base, known)


def _matrix_bytes(num_satellites: int) -> int:
    """Memory of the matrix of some satellites, which rounds that are kept beside it may not exceed."""
    return 8 * num_satellites**2


def _filled(num_satellites: int, base: FloatArray | None, known: tuple[_Cosines, ...]) -> FloatArray:
    """The matrix after some rounds, in a fresh array, (S, S)."""
    matrix = np.eye(num_satellites) if base is None else base.copy()
    for some, members, cosines in known:
        if len(some) < len(members):
            matrix[members[:, None], some] = cosines.T
        matrix[some[:, None], members] = cosines
    matrix.ravel()[:: num_satellites + 1] = 1.0
    return matrix
