"""Gateways that move their models by a server optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import (
    Combine,
    ServerOptimiser,
    combine_updates,
    gateway_aggregate,
    server_step,
    take_rows,
    write_rows,
)
from satfl_env.simulation.models import Arrivals, Group, Groups, Intake, ModelStore, each_group
from satfl_env.simulation.state import BoolArray, FloatArray


class ServerStore(ModelStore):
    """A store whose gateways move each model along its combined updates by an optimiser.

    Every (gateway, cluster) has moments of its own. The cloud merges them as it merges the models, with the same
    weights: as momentum is averaged in H. Yu, R. Jin, S. Yang, "On the Linear Speedup Analysis of Communication
    Efficient Momentum SGD for Distributed Non-Convex Optimization", ICML 2019.

    Args:
        held: Model each satellite holds at first, (S, P).
        num_shared: Number of leading columns that are federated.
        num_gateways: Number of gateways, G.
        optimiser: Moves the models.
    """

    def __init__(self, held: Tensor, num_shared: int, num_gateways: int, optimiser: ServerOptimiser) -> None:
        super().__init__(held, num_shared, num_gateways)
        self._optimiser = optimiser
        first = held.new_tensor(optimiser.first_moments)
        self._first_moments = first[:, None].expand(-1, num_shared)
        # Moments (n, num_shared) of each (gateway, cluster) that has moved its model, or holds a merged one.
        self._moments: dict[Group, Tensor] = {}

    def get_state(self) -> dict[str, Any]:
        """Everything that changes: plain numbers, NumPy arrays and tensors."""
        return {**super().get_state(), "moments": dict(self._moments)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a state taken by `get_state`.

        Raises:
            ValueError: If it is that of a store of other sizes, or of another optimiser.
        """
        super().set_state(state)
        expected = tuple(self._first_moments.shape)
        for group, moments in state["moments"].items():
            if tuple(moments.shape) != expected:
                raise ValueError(
                    f"state['models']['moments'][{group}] has shape {tuple(moments.shape)}; expected {expected}"
                )
        self._moments = dict(state["moments"])

    def combined(self, intake: Intake, arrivals: Arrivals, combine: Combine) -> Tensor:
        """The model of each group, (K, num_shared), moved from the gateway's own; where it has none, from the start."""
        members, groups, index = intake.members, intake.groups, intake.group_of
        weights, start = intake.weights[members], take_rows(arrivals.start[:, : self.num_shared], members)
        updates = combine_updates(take_rows(arrivals.received, members) - start, weights, index, combine)
        models, row = gateway_aggregate(start, weights, index), self._row[groups]
        write_rows(models, np.flatnonzero(row >= 0), self._models, row[row >= 0])
        return self.moved(groups, models, updates)

    def moved(self, groups: Groups, models: Tensor, updates: Tensor) -> Tensor:
        """The models of some groups, (K, num_shared), after a step of the optimiser along their updates."""
        keys = each_group(groups)
        moments = torch.stack([self._moments.get(key, self._first_moments) for key in keys], dim=1)
        models, moments = server_step(self._optimiser, models, updates, moments)
        self._moments.update(zip(keys, moments.unbind(1), strict=True))
        return models

    def merge(self) -> tuple[FloatArray, BoolArray]:
        """The cloud merges models and moments; see `ModelStore.merge`."""
        used, equal = super().merge()
        for label in np.flatnonzero(used.any(axis=1)).tolist():
            gateways = np.flatnonzero(used[label])
            moments = torch.stack([self._moments[gateway, label] for gateway in gateways.tolist()])
            merged = torch.tensordot(torch.from_numpy(used[label, gateways]).to(moments), moments, dims=1)
            self._moments.update({(gateway, label): merged for gateway in range(used.shape[1])})
        return used, equal
