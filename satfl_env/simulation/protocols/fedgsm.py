r"""FedGSM: late updates, each corrected for what the model has done since it was fetched.

L. Wu, J. Zhang, "FedGSM: Efficient Federated Learning for LEO Constellations with Gradient Staleness Mitigation", IEEE
SPAWC 2023 (arXiv 2304.08537). Known to us by its abstract: a compensation mechanism against stale gradients. The
compensation chosen here is that of S. Zheng et al., "Asynchronous Stochastic Gradient Descent with Delay Compensation",
ICML 2017 (arXiv 1609.08326).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine
from satfl_env.settings import STRICT, Count, NonNegative
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols.late_updates import BufferedUpdates
from satfl_env.simulation.protocols.round_protocol import Aggregation, Fetched


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedGSM(BufferedUpdates):
    r"""Late updates, to first order what they would be from the present model; after the abstract of FedGSM.

    A gradient g at the model $x_0$ that a satellite fetched is about $g + \mathrm{diag}(h) (x - x_0)$ at the present
    model x, with a diagonal h of the Hessian that is estimated by $|g|^p$. An update u goes against the gradient:

    $$u \leftarrow u - \lambda |u|^p \odot (x - x_0)$$

    The outer product of gradients is p = 2 (DC-ASGD-c), and with the step size of DC-ASGD-a, without its memory, p = 1.
    No parameter of an update is changed by more than its own size (chosen). Compensated updates are discounted by their
    staleness as others are.

    Attributes:
        compensation: Its strength lambda, in [0, 1,000,000]; 0 leaves updates as they are.
        hessian_power: The power p: 1, the same for all sizes of updates, or 2.
    """

    kind: Literal["fedgsm"] = "fedgsm"
    compensation: Annotated[NonNegative, Field(le=1e6)] = 2.0
    hessian_power: Annotated[Count, Field(le=2)] = 1

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways compensate what has arrived, and collect it."""
        start, received, members = arrivals.start[:, : models.num_shared], arrivals.received.clone(), arrivals.returned
        for satellite in np.flatnonzero(members).tolist():
            present = models.model_of((int(decision.association[satellite]), int(decision.cluster[satellite])))
            update, passed = received[satellite] - start[satellite], present - start[satellite]
            received[satellite] = start[satellite] + self.compensated(update, passed)
        return super().aggregate(models, decision, replace(arrivals, received=received), fetched, combine)

    def compensated(self, update: Tensor, passed: Tensor) -> Tensor:
        """An update (P,) corrected for how far its model has moved since it was fetched, (P,)."""
        size = update.abs()
        change = self.compensation * size ** (self.hessian_power - 1) * passed
        corrected: Tensor = update - size * torch.clamp(change, -1.0, 1.0)
        return corrected
