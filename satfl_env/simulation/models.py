"""Who holds which model: satellites, gateways (one a cluster) and the cloud that merges them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import Layout, SemanticModel, cloud_aggregate, gateway_aggregate, normalise_weights
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

Group = tuple[int, int]


@dataclass
class ModelStore:
    """The models of a federation; parameters are flat, the shared ones first.

    Attributes:
        held: Model each satellite holds, (S, P).
        num_shared: Number of leading columns that are federated; the rest never leaves the satellite.
        gateway_models: Shared parameters (num_shared,) of each (gateway, cluster) that has a model.
        updated: The (gateway, cluster) groups that changed since the cloud's last merge.
    """

    held: Tensor
    num_shared: int
    gateway_models: dict[Group, Tensor] = field(default_factory=dict)
    updated: set[Group] = field(default_factory=set)

    def start_parameters(self, association: IntArray, cluster: IntArray, trains: BoolArray) -> Tensor:
        """Parameters satellites start the round from, (S, P).

        A participant takes its cluster's model at its gateway; where there is none yet, the mean of the encoders of the
        participants of that group. Decoders are its own.
        """
        start = self.held.clone()
        members = np.flatnonzero(trains)
        if members.size == 0:
            return start
        groups, index = _groups(association, cluster, members)
        shared = self.held[members, : self.num_shared]
        equal = 1.0 / np.bincount(index)[index]
        models = gateway_aggregate(shared, equal, index)
        for row, group in enumerate(groups):
            if group in self.gateway_models:
                models[row] = self.gateway_models[group]
        start[members, : self.num_shared] = models[index]
        return start

    def aggregate(
        self, trained: Tensor, raw_weights: FloatArray, association: IntArray, cluster: IntArray, returned: BoolArray
    ) -> tuple[FloatArray, tuple[Group, ...]]:
        """Gateways average the updates that came back (SemSpaceFL, eq. 2; task clustering, eq. 5).

        Args:
            trained: Locally trained parameters, (S, P).
            raw_weights: Raw weights, (S,).
            association: Gateway of each satellite, (S,).
            cluster: Cluster label of each satellite, (S,).
            returned: Satellites whose update came back, (S,).

        Returns:
            The weights used, (S,), and the groups whose raw weights were all zero and were made equal.
        """
        used = np.zeros(len(returned))
        members = np.flatnonzero(returned)
        if members.size == 0:
            return used, ()
        groups, index = _groups(association, cluster, members)
        used[members], made_equal = normalise_weights(raw_weights[members], index)
        models = gateway_aggregate(trained[members, : self.num_shared], used[members], index)
        for row, group in enumerate(groups):
            self.gateway_models[group] = models[row]
            self.updated.add(group)
        self.held[members] = trained[members]
        return used, tuple(groups[row] for row in made_equal)

    def merge(self, raw_gateway_weights: FloatArray) -> tuple[FloatArray, tuple[int, ...]]:
        """The cloud merges, cluster by cluster, what changed since its last merge (SemSpaceFL, eq. 3).

        Every gateway then holds the merged model of each merged cluster.

        Returns:
            The weights used, (S, G), and the clusters whose raw weights were all zero and were made equal.
        """
        num_gateways = len(raw_gateway_weights)
        used = np.zeros((self.held.shape[0], num_gateways))
        if not self.updated:
            return used, ()
        updated = sorted(self.updated, key=lambda group: (group[1], group[0]))
        gateways, labels = np.array(updated).T
        clusters, index = np.unique(labels, return_inverse=True)
        weights, made_equal = normalise_weights(raw_gateway_weights[gateways], index)
        used[labels, gateways] = weights
        merged = cloud_aggregate(torch.stack([self.gateway_models[group] for group in updated]), weights, index)
        for row, label in enumerate(clusters.tolist()):
            for gateway in range(num_gateways):
                self.gateway_models[gateway, label] = merged[row]
        self.updated.clear()
        return used, tuple(int(clusters[row]) for row in made_equal)

    def distribute(self, association: IntArray, cluster: IntArray, returned: BoolArray) -> None:
        """Participants whose update came back receive the model their gateway now holds for their cluster."""
        members = np.flatnonzero(returned)
        if members.size == 0:
            return
        groups, index = _groups(association, cluster, members)
        models = torch.stack([self.gateway_models[group] for group in groups])
        self.held[members, : self.num_shared] = models[index]


def first_models(
    make_model: Callable[[torch.Generator], SemanticModel],
    generator: torch.Generator,
    num_satellites: int,
    num_shared: int,
    *,
    own_decoders: bool,
) -> Tensor:
    """One common first model for all, or one with a first decoder of its own where decoders stay on board, (S, P)."""
    model = make_model(generator)
    layout = Layout.of(model)
    held = layout.flatten(model).repeat(num_satellites, 1)
    if own_decoders and num_shared < layout.num_parameters:
        for satellite in range(1, num_satellites):
            held[satellite, num_shared:] = layout.flatten(make_model(generator))[num_shared:]
    return held


def _groups(association: IntArray, cluster: IntArray, members: IntArray) -> tuple[list[Group], IntArray]:
    """Distinct (gateway, cluster) groups of some satellites, and for each satellite the index of its group."""
    pairs, index = np.unique(np.stack([association[members], cluster[members]], axis=1), axis=0, return_inverse=True)
    return [(int(gateway), int(label)) for gateway, label in pairs], index.reshape(-1)
