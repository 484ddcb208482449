r"""What satellites minimise in local training beside their loss: terms that pull their federated parameters.

$$\min_{w} \; L(w) + \frac{\mu}{2} \lVert w - w_0 \rVert^2 + \langle d, w \rangle$$

The first is the proximal term of FedProx (T. Li et al., "Federated Optimization in Heterogeneous Networks", MLSys
2020, eq. 2), with $w_0$ where the round starts. The second is what SCAFFOLD adds to the gradient, $d = c - c_i$ (S. P.
Karimireddy et al., "SCAFFOLD: Stochastic Controlled Averaging for Federated Learning", ICML 2020, eq. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class LocalObjective:
    r"""Terms beside the loss, over the first n columns of a row of parameters.

    Attributes:
        shift: The constant $d$ in each satellite's gradient, (S, n).
        proximal_mu: Weight $\mu$ of the proximal term, >= 0.
    """

    shift: Tensor
    proximal_mu: float = 0.0

    def part(self, satellites: NDArray[np.int64]) -> LocalObjective:
        """That of some satellites, in the order given."""
        index = torch.from_numpy(satellites).to(self.shift.device)
        return LocalObjective(self.shift.index_select(0, index), self.proximal_mu)

    @classmethod
    def concatenate(cls, parts: Sequence[LocalObjective | None]) -> LocalObjective | None:
        """That of the satellites of several jobs, which are of one kind; None where all have their loss alone."""
        given = [part for part in parts if part is not None]
        return cls(torch.cat([part.shift for part in given]), given[0].proximal_mu) if given else None


class Guide:
    """The gradient of an objective's terms in the training of some satellites, and the sum of those of their losses.

    Args:
        objective: The objective of A satellites.
        start: Their parameters before the first step, (A, P) or wider.
    """

    def __init__(self, objective: LocalObjective, start: Tensor) -> None:
        self._mu = objective.proximal_mu
        self._shift = objective.shift.to(start)
        self._start = start[:, : self._shift.shape[1]].clone()
        self.total = torch.zeros_like(self._shift)

    def guided(self, rows: Tensor, gradient: Tensor) -> Tensor:
        """Gradients of loss and terms at the first `len(rows)` rows, from those of the loss, in a new tensor.

        The first columns of all are (A', n).
        """
        active, shared = len(rows), self._shift.shape[1]
        self.total[:active] += gradient[:, :shared]
        whole = gradient.clone()
        pull = (rows[:, :shared] - self._start[:active]).mul_(self._mu)
        whole[:, :shared] += pull.add_(self._shift[:active])
        return whole

    def mean_gradient(self, steps: NDArray[np.int64]) -> Tensor:
        """Mean gradient of each one's minibatch losses over its steps, (A, n)."""
        return self.total / torch.from_numpy(steps).to(self.total)[:, None]
