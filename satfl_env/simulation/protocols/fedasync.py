r"""FedAsync: every update is mixed into its gateway's model as it comes, the less the staler it is.

C. Xie, S. Koyejo, I. Gupta, "Asynchronous Federated Optimization", OPT 2020 (arXiv 1903.03934), algorithm 1 and
section 5.2. Its workers also minimise a proximal term: `local: {kind: fedprox}`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env.federated import Combine, take_rows
from satfl_env.settings import STRICT, NonNegative, Positive, Share
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols.buffers import move_by_shares, staleness_discount
from satfl_env.simulation.protocols.next_contact import NextContact, staleness_at_arrival
from satfl_env.simulation.protocols.round_protocol import Aggregation, Fetched
from satfl_env.simulation.state import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Constant:
    r"""Staleness does not count: $s(\tau) = 1$."""

    kind: Literal["constant"] = "constant"

    def __call__(self, staleness: IntArray) -> FloatArray:
        """Factors of updates of some staleness, of any shape."""
        return np.ones(np.shape(staleness))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Polynomial:
    r"""A power law: $s(\tau) = (1 + \tau)^{-a}$.

    Attributes:
        power: The power a.
    """

    kind: Literal["polynomial"] = "polynomial"
    power: NonNegative = 0.5

    def __call__(self, staleness: IntArray) -> FloatArray:
        """Factors of updates of some staleness, of any shape."""
        return staleness_discount(staleness, self.power)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Hinge:
    r"""No discount up to a staleness b, then $s(\tau) = 1 / (a (\tau - b) + 1)$.

    Attributes:
        slope: a.
        free: The staleness b that is free of discount.
    """

    kind: Literal["hinge"] = "hinge"
    slope: Positive = 10.0
    free: NonNegative = 4.0

    def __call__(self, staleness: IntArray) -> FloatArray:
        """Factors of updates of some staleness, of any shape."""
        return np.asarray(1.0 / (self.slope * np.maximum(staleness - self.free, 0.0) + 1.0))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedAsync(NextContact):
    r"""Updates arrive one contact late, and each one's model $x_i$ is mixed into the gateway's: algorithm 1.

    $$x \leftarrow (1 - \alpha_i) x + \alpha_i x_i, \qquad \alpha_i = \min(1, \alpha \, \omega_i \, s(\tau_i))$$

    The decided weights $\omega_i$, of mean 1 among the updates of a cluster that reach a gateway in one round, are an
    addition. Those are mixed in one after the other, in the order of the satellites' numbers. With a server optimiser,
    what the model would have moved by is the update that it steps along.

    Attributes:
        alpha: How much of a model that is not stale is mixed in, in (0, 1].
        staleness: The function s of the staleness.
    """

    kind: Literal["fedasync"] = "fedasync"
    alpha: Share = 0.6
    staleness: Annotated[Constant | Polynomial | Hinge, Field(discriminator="kind")] = Polynomial()

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways mix in what has arrived, unless they wait."""
        intake, version = models.take_in(decision, arrivals), models.version
        staleness = staleness_at_arrival(models, arrivals, fetched)
        models.wait(intake, take_rows(arrivals.received, intake.members), fetched.version[intake.members])
        ripe = models.ripe(decision)
        models.version += bool(ripe)
        for group in ripe:
            kept = models.waiting[group]
            alpha = self.alpha * kept.weights.numpy() * self.staleness(version - kept.version)
            shares = mixed_shares(np.minimum(alpha, 1.0))
            move_by_shares(models, group, kept.updates - models.model_of(group), shares, combine)
        return Aggregation(intake, staleness)


def mixed_shares(alpha: FloatArray) -> FloatArray:
    r"""Share of each model, (n,), once all are mixed in, one by one: $\alpha_i \prod_{j > i} (1 - \alpha_j)$."""
    left = np.append(np.cumprod((1.0 - alpha)[::-1])[::-1], 1.0)
    return np.asarray(alpha * left[1:])
