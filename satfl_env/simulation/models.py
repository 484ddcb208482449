"""Who holds which model: satellites, gateways (one a cluster) and the cloud that merges them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import Layout, SemanticModel, cloud_aggregate, gateway_aggregate, normalise_weights
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

Group = tuple[int, int]
# Gateways and labels of K groups, each (K,).
Groups = tuple[IntArray, IntArray]


class ModelStore:
    """The models of a federation; parameters are flat, the shared ones first.

    Gateways that hold the same model of a cluster, as after a merge, point to one row of a common table.

    Args:
        held: Model each satellite holds at first, (S, P).
        num_shared: Number of leading columns that are federated; the rest never leaves the satellite.
        num_gateways: Number of gateways, G.
    """

    def __init__(self, held: Tensor, num_shared: int, num_gateways: int) -> None:
        self.held = held
        self.num_shared = num_shared
        self._models = held.new_empty(0, num_shared)
        self._first = held[0, :num_shared].clone()
        # How often gateways have changed their models.
        self.version = 0
        # Of each group, the sum of the updates that wait and their number.
        self.waiting: dict[Group, tuple[Tensor, int]] = {}
        # Row of each (gateway, cluster) in the table, -1 where the gateway has no model of the cluster.
        self._row = np.full((num_gateways, len(held)), -1)
        # Raw weight at the cloud of each group that changed since the last merge, NaN for the others.
        self.stake = np.full(self._row.shape, np.nan)

    @property
    def gateway_models(self) -> dict[Group, Tensor]:
        """Shared parameters (num_shared,) of each (gateway, cluster) that has a model."""
        groups = np.argwhere(self._row >= 0).tolist()
        return {(gateway, label): self._models[self._row[gateway, label]] for gateway, label in groups}

    @gateway_models.setter
    def gateway_models(self, models: Mapping[Group, Tensor]) -> None:
        self._row[:] = -1
        if models:
            self._put(tuple(np.array(list(models)).T), torch.stack(list(models.values())))

    def start_parameters(self, association: IntArray, cluster: IntArray, trains: BoolArray) -> Tensor:
        """Parameters satellites start the round from, (S, P).

        A participant takes its cluster's model at its gateway; where there is none yet, the mean of the encoders of the
        participants of that group. Decoders are its own.
        """
        start = self.held.clone()
        members = np.flatnonzero(trains)
        row = self._row[association[members], cluster[members]]
        known, new = members[row >= 0], members[row < 0]
        if known.size:
            _write_rows(start[:, : self.num_shared], known, self._models, row[row >= 0])
        if new.size:
            _, index = self._groups(association, cluster, new)
            equal = 1.0 / np.bincount(index)[index]
            means = gateway_aggregate(take_rows(self.held[:, : self.num_shared], new), equal, index)
            _write_rows(start[:, : self.num_shared], new, means, index)
        return start

    def aggregate(
        self,
        trained: Tensor,
        raw_weights: FloatArray,
        raw_gateway_weights: FloatArray,
        association: IntArray,
        cluster: IntArray,
        returned: BoolArray,
        *,
        received: Tensor | None = None,
    ) -> tuple[FloatArray, BoolArray]:
        """Gateways average the updates that came back (SemSpaceFL, eq. 2; task clustering, eq. 5).

        Args:
            trained: Locally trained parameters, (S, P).
            raw_weights: Raw weights, (S,).
            raw_gateway_weights: Raw weights of the gateways at the cloud, (G,).
            association: Gateway of each satellite, (S,).
            cluster: Cluster label of each satellite, (S,).
            returned: Satellites whose update came back, (S,).
            received: Shared parameters as they arrived, (S, num_shared); None means as they were sent.

        Returns:
            The weights used, (S,), and the satellites of groups whose raw weights were all zero and were made equal,
            (S,).
        """
        used, equal = np.zeros(len(returned)), np.zeros(len(returned), dtype=np.bool_)
        members = np.flatnonzero(returned)
        if members.size == 0:
            return used, equal
        groups, index = self._groups(association, cluster, members)
        used[members], made_equal = normalise_weights(raw_weights[members], index)
        if made_equal.size:
            equal[members] = np.isin(index, made_equal)
        received = trained[:, : self.num_shared] if received is None else received
        self._put(groups, gateway_aggregate(take_rows(received, members), used[members], index))
        self.stake[groups] = _stakes(raw_gateway_weights, raw_weights[members], groups, index)
        self.version += 1
        _write_rows(self.held, members, trained, members)
        return used, equal

    def collect(
        self,
        trained: Tensor,
        updates: Tensor,
        raw_weights: FloatArray,
        raw_gateway_weights: FloatArray,
        discount: FloatArray,
        association: IntArray,
        cluster: IntArray,
        returned: BoolArray,
        *,
        buffer: int,
        server_rate: float,
    ) -> tuple[FloatArray, BoolArray]:
        """Gateways collect late updates, and move their models along the mean of `buffer` of them (FedBuff, Alg. 1).

        Args:
            trained: Locally trained parameters, (S, P).
            updates: What training changed in the shared parameters, (R, num_shared), of those that came back.
            raw_weights: Raw weights, (S,).
            raw_gateway_weights: Raw weights of the gateways at the cloud, (G,).
            discount: How much an update still counts, (S,).
            association: Gateway of each satellite, (S,).
            cluster: Cluster label of each satellite, (S,).
            returned: Satellites whose update came back, (S,).
            buffer: Updates to wait for.
            server_rate: How far a model moves along their mean.

        Returns:
            The weights used, (S,), and the satellites of groups whose raw weights were all zero and were made equal,
            (S,).
        """
        used, equal, before = np.zeros(len(returned)), np.zeros(len(returned), dtype=np.bool_), self.version
        members = np.flatnonzero(returned)
        if members.size == 0:
            return used, equal
        groups, index = self._groups(association, cluster, members)
        used[members], made_equal = normalise_weights(raw_weights[members], index)
        if made_equal.size:
            equal[members] = np.isin(index, made_equal)
        sums = gateway_aggregate(
            torch.from_numpy(discount[members]).to(updates)[:, None] * updates, used[members], index
        )
        counts = np.bincount(index)
        stakes = _stakes(raw_gateway_weights, raw_weights[members], groups, index)
        self.held[members] = trained[members]
        for row, group in enumerate(_named(groups)):
            total, count = self.waiting.pop(group, (torch.zeros_like(self._first), 0))
            total, count = total + sums[row] * int(counts[row]), count + int(counts[row])
            if count < buffer:
                self.waiting[group] = total, count
                continue
            known = self._row[group]
            model = self._models[known] if known >= 0 else self._first
            self._put(([group[0]], [group[1]]), (model + server_rate / count * total)[None])
            self.stake[group] = stakes[row]
            self.version = before + 1
        return used, equal

    def merge(self) -> tuple[FloatArray, BoolArray]:
        """The cloud merges, cluster by cluster, what changed since its last merge (SemSpaceFL, eq. 3).

        A gateway's raw weight is that of the last round in which its model changed. It is divided among the gateway's
        clusters as the weights of the satellites that came back then; with weights of gateways that are the sums of
        their satellites', clusters with members at several gateways get the mean over all of them. Every gateway then
        holds the merged model of each merged cluster.

        Returns:
            The weights used, (S, G), and the clusters whose raw weights were all zero and were made equal, (S,).
        """
        used = np.zeros(self.stake.T.shape)
        equal = np.zeros(len(used), dtype=np.bool_)
        labels, gateways = np.nonzero(~np.isnan(self.stake.T))
        if not labels.size:
            return used, equal
        clusters, index = distinct(labels)
        weights, made_equal = normalise_weights(self.stake[gateways, labels], index)
        used[labels, gateways] = weights
        equal[clusters[made_equal]] = True
        merged = cloud_aggregate(self._models[self._row[gateways, labels]], weights, index)
        self._put((slice(None), clusters), merged)
        self.stake[:] = np.nan
        return used, equal

    def distribute(self, association: IntArray, cluster: IntArray, returned: BoolArray) -> None:
        """Satellites that came back receive the model their gateway now holds for their cluster; the first if none."""
        members = np.flatnonzero(returned)
        row = self._row[association[members], cluster[members]]
        known, new = members[row >= 0], members[row < 0]
        if known.size:
            _write_rows(self.held[:, : self.num_shared], known, self._models, row[row >= 0])
        if new.size:
            self.held[torch.from_numpy(new), : self.num_shared] = self._first

    def _put(self, groups: Any, models: Tensor) -> None:
        """Give `groups`, an index of the gateways' table, their models (K, num_shared); drop what nobody holds now."""
        self._row[groups] = len(self._models) + np.arange(len(models))
        held = self._row >= 0
        in_use, self._row[held] = distinct(self._row[held])
        self._models = take_rows(torch.cat([self._models, models]), in_use)

    def _groups(self, association: IntArray, cluster: IntArray, members: IntArray) -> tuple[Groups, IntArray]:
        """Distinct (gateway, cluster) groups of some satellites, and the index of each one's group."""
        num_labels = self._row.shape[1]
        codes, index = distinct(association[members] * num_labels + cluster[members])
        return np.divmod(codes, num_labels), index


def _stakes(raw_gateway_weights: FloatArray, raw_weights: FloatArray, groups: Groups, index: IntArray) -> FloatArray:
    """Raw weight of each group at the cloud, (K,): its part of its gateway's, from the members' raw weights (R,)."""
    gateways, _ = groups
    part = np.bincount(index, weights=raw_weights / (raw_weights.max() or 1.0))
    whole = np.bincount(gateways, weights=part)[gateways]
    # Where all weights are zero, members count alike.
    size = np.bincount(index)
    alike = size / np.bincount(gateways, weights=size)[gateways]
    return raw_gateway_weights[gateways] * np.divide(part, whole, out=alike, where=whole > 0)


def _named(groups: Groups) -> tuple[Group, ...]:
    """The groups one by one."""
    gateways, labels = groups
    return tuple(zip(gateways.tolist(), labels.tolist(), strict=True))


def distinct(numbers: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct ones (K,) of small numbers (R,) >= 0 in rising order, and which each is, without sorting them."""
    occurs = np.bincount(numbers) > 0
    return np.flatnonzero(occurs), (occurs.cumsum() - 1)[numbers]


def take_rows(source: Tensor, which: IntArray) -> Tensor:
    """Some rows of a matrix; faster than indexing with an array."""
    return source.index_select(0, torch.from_numpy(which))


def _write_rows(target: Tensor, rows: IntArray, source: Tensor, source_rows: IntArray) -> None:
    """Overwrite some rows of a matrix by rows of another."""
    target.index_copy_(0, torch.from_numpy(rows), take_rows(source, source_rows))


def first_models(
    model: SemanticModel,
    generator: torch.Generator,
    num_satellites: int,
    num_shared: int,
    *,
    own_decoders: bool,
) -> Tensor:
    """One common first model for all, or one with a first decoder of its own where decoders stay on board, (S, P).

    The model's own parameters are overwritten.
    """
    layout = Layout.of(model)
    model.draw_weights(generator)
    held = layout.flatten(model).repeat(num_satellites, 1)
    if own_decoders and num_shared < layout.num_parameters:
        for satellite in range(1, num_satellites):
            model.draw_weights(generator)
            held[satellite, num_shared:] = layout.flatten(model)[num_shared:]
    return held
