r"""AsyncFLEO: late updates in groups of similar ones; a group that has fresh updates does without its stale ones.

M. Elmahallawy, T. Luo, "AsyncFLEO: Asynchronous Federated Learning for LEO Satellite Constellations with High-Altitude
Platforms", IEEE Big Data 2022 (arXiv 2212.11522). Known to us by its abstract: platforms as servers, models propagated
among satellites and platforms, aggregation with satellite grouping and staleness discounting. How similarity is
measured, and from when on an update is stale, is chosen here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env.federated import Combine, take_rows, write_rows
from satfl_env.settings import STRICT, Finite, Whole
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, ModelStore
from satfl_env.simulation.protocols.late_updates import BufferedUpdates
from satfl_env.simulation.protocols.next_contact import staleness_at_arrival
from satfl_env.simulation.protocols.round_protocol import Aggregation, Fetched
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AsyncFLEO(BufferedUpdates):
    """Late updates, of which stale ones are set aside where fresh ones say the same; after the abstract of AsyncFLEO.

    The updates of a cluster that arrive in one round, at whichever gateway, form groups: two of them are in one group
    if the cosine between them is at least `similarity`, and so is what they join. A group with fresh updates sets its
    stale ones aside: their outcome stays `RETURNED`, with a weight of 0. A group without counts its stale ones,
    discounted by (1 + staleness)^-`staleness_power`.

    Attributes:
        similarity: Least cosine of two updates in one group, in [-1, 1]; -1 is one group.
        fresh: Highest staleness of a fresh update.
    """

    kind: Literal["asyncfleo"] = "asyncfleo"
    similarity: Annotated[Finite, Field(ge=-1, le=1)] = 0.5
    fresh: Whole = 0

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """Gateways collect the updates that are not set aside."""
        staleness = staleness_at_arrival(models, arrivals, fetched)
        members = np.flatnonzero(arrivals.returned)
        updates = take_rows(arrivals.received - arrivals.start[:, : models.num_shared], members)
        alike = cosines(updates.double().numpy()) >= self.similarity
        alike &= decision.cluster[members][:, None] == decision.cluster[members]
        aside = members[is_superseded(groups_of(alike), staleness[members] <= self.fresh)]
        # Whoever's update is set aside keeps what it has trained all the same.
        write_rows(models.held, aside, arrivals.trained, aside)
        kept = arrivals.returned & ~np.isin(np.arange(len(staleness)), aside)
        aggregation = super().aggregate(models, decision, replace(arrivals, returned=kept), fetched, combine)
        return replace(aggregation, staleness=staleness)


def cosines(vectors: FloatArray) -> FloatArray:
    """Cosine of every two of n vectors, (n, n), from (n, P); 1 with itself, 0 of a vector of zeros with others."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    cosine = np.clip(unit @ unit.T, -1.0, 1.0)
    np.fill_diagonal(cosine, 1.0)
    return np.asarray(cosine)


def groups_of(alike: BoolArray) -> IntArray:
    """The group of each of n, (n,): the lowest number that a chain of pairs that are alike, (n, n), leads to."""
    group = np.arange(len(alike))
    while True:
        joined = np.where(alike, group, len(alike)).min(axis=1, initial=len(alike))
        if (joined == group).all():
            return group
        group = joined


def is_superseded(group: IntArray, fresh: BoolArray) -> BoolArray:
    """Whether each of n updates is stale while its group has a fresh one, (n,)."""
    return np.asarray(~fresh & np.isin(group, group[fresh]))
