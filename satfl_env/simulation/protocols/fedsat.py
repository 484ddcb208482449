r"""FedSat: the server moves at once by what a satellite's model has changed since it delivered one before.

N. Razmi, B. Matthiesen, A. Dekorsy, P. Popovski, "Ground-Assisted Federated Learning in LEO Satellite Constellations",
IEEE Wireless Communications Letters 11(4), 2022 (arXiv 2109.01348). The rule is as the authors repeat it in "Scheduling
for Ground-Assisted Federated Learning in LEO Satellite Constellations", EUSIPCO 2022 (arXiv 2206.01952), section III-A.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import Combine, take_rows
from satfl_env.settings import STRICT
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Intake, ModelStore
from satfl_env.simulation.protocols.buffers import move_by_shares
from satfl_env.simulation.protocols.next_contact import NextContact, staleness_at_arrival
from satfl_env.simulation.protocols.round_protocol import Aggregation, Fetched
from satfl_env.simulation.state import FloatArray


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedSat(NextContact):
    r"""Updates arrive one contact late; a satellite counts by its share of all samples, $\alpha_k = D_k / \sum_j D_j$.

    $$x \leftarrow x - \alpha_k (x_k' - x_k)$$

    $x_k$ is the model that satellite k delivers, $x_k'$ the one that it delivered before, at first the first model. So
    with one cluster the server's model is always $\sum_k \alpha_k x_k$, the mean of the models that satellites have
    delivered last: an update that is lost is made up for by the next one. Decided weights are not used.

    The paper has one server. It is the first gateway, to which the others pass on what they receive at no cost; they
    get its model when the cloud merges. Whether the server waits is decided for the first gateway.
    """

    kind: Literal["fedsat"] = "fedsat"

    def aggregate(
        self, models: ModelStore, decision: Decision, arrivals: Arrivals, fetched: Fetched, combine: Combine
    ) -> Aggregation:
        """The server moves its models along the changes of what satellites deliver."""
        by_samples = replace(decision, weights=arrivals.samples.astype(np.float64))
        intake, staleness = models.take_in(by_samples, arrivals), staleness_at_arrival(models, arrivals, fetched)
        at_server = _at_server(intake, arrivals.samples / max(1, arrivals.samples.sum()))
        models.wait(at_server, _changes(models, arrivals), fetched.version[intake.members])
        ripe = models.ripe(decision)
        models.version += bool(ripe)
        for group in ripe:
            kept = models.waiting[group]
            move_by_shares(models, group, kept.updates, kept.weights.numpy(), combine)
        return Aggregation(intake, staleness)


def _changes(models: ModelStore, arrivals: Arrivals) -> Tensor:
    """How each model that came back differs from the one delivered before, (R, num_shared); it takes its place."""
    members = np.flatnonzero(arrivals.returned)
    delivered = take_rows(arrivals.received, members)
    before = [models.delivered.get(satellite, models.first) for satellite in members.tolist()]
    # Copies: a row alone would keep the models of its whole round.
    models.delivered.update(zip(members.tolist(), (model.clone() for model in delivered), strict=True))
    return delivered - torch.stack(before) if before else delivered


def _at_server(intake: Intake, shares: FloatArray) -> Intake:
    """What gateways have taken in, passed on to the first one; each update will wait with its share of (S,)."""
    clusters, group_of = np.unique(intake.groups[1][intake.group_of], return_inverse=True)
    together = np.bincount(group_of, minlength=len(clusters))[group_of]
    weights = np.zeros_like(shares)
    weights[intake.members] = shares[intake.members] / together
    groups = np.zeros_like(clusters), clusters
    return intake._replace(groups=groups, group_of=group_of, weights=weights, cloud_weights=np.ones(len(clusters)))
