"""Satellites that train parts of a model, each as much of it as its computer can do (FedSN)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from pydantic import field_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import (
    Combine,
    Layout,
    combine_updates,
    overlapping_mean,
    take_rows,
    width_mask,
    write_rows,
)
from satfl_env.onboard import Computer
from satfl_env.settings import STRICT, Share
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import BEFORE_TRAINING, Arrivals, Intake, ModelStore
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray


class OwnParts(NamedTuple):
    """The part of a model that each satellite trains.

    Attributes:
        mask: Which of the shared parameters are in it, (S, num_shared).
        cost: Its parameters, with those that are not shared, as a share of all, (S,).
    """

    mask: Tensor
    cost: FloatArray

    @property
    def sizes(self) -> IntArray:
        """Shared parameters of each satellite, (S,)."""
        return np.asarray(self.mask.sum(dim=1).numpy())


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Structures:
    """Sub-structures by capacity: satellites with weaker computers train narrower models.

    Z. Lin et al., "FedSN: A Federated Learning Framework over Heterogeneous LEO Satellite Networks", IEEE Transactions
    on Mobile Computing 24(3), 2025 (arXiv 2311.01483), known to us by its abstract. Widths are those of HeteroFL, see
    `width_mask`. A satellite takes the widest one with which an epoch takes it no longer than one of the whole model
    takes the strongest computer, by samples per second at the highest frequency; the narrowest if none does.

    Attributes:
        widths: Shares of the units of each hidden layer, ascending, each in (0, 1].

    Raises:
        ValueError: If there is no width, or they do not ascend.
    """

    widths: tuple[Share, ...] = (0.25, 0.5, 1.0)

    @field_validator("widths")
    @classmethod
    def _ascend(cls, widths: tuple[float, ...]) -> tuple[float, ...]:
        if not widths or list(widths) != sorted(set(widths)):
            raise ValueError(f"must be ascending shares, at least one, got {list(widths)}")
        return widths

    def masks(self, layout: Layout, num_shared: int) -> Tensor:
        """Which of a model's shared parameters each width has, (widths, num_shared).

        Raises:
            ValueError: If its layers are not fully connected.
        """
        return torch.stack([width_mask(layout, num_shared, width) for width in self.widths])

    def parts(self, layout: Layout, num_shared: int, computer: Computer, num_satellites: int) -> OwnParts:
        """What each of some satellites trains of a model."""
        masks = self.masks(layout, num_shared)
        costs = (masks.sum(dim=1).numpy() + (layout.num_parameters - num_shared)) / layout.num_parameters
        speed = np.broadcast_to(np.asarray(computer.cpu_max_hz) / computer.cycles_per_sample, num_satellites)
        which = widest(costs, speed / speed.max())
        return OwnParts(masks[torch.from_numpy(which)], costs[which])


def widest(costs: FloatArray, capacity: FloatArray) -> IntArray:
    """Index (S,) of the dearest of some ascending costs that each capacity, (S,), has room for; 0 where none has."""
    # Quotients of equal numbers may differ from 1 in their last bit.
    return np.maximum(np.searchsorted(costs, capacity * (1 + 1e-9), side="right") - 1, 0)


class PartStore(ModelStore):
    """A store whose satellites hold, train and return a part of the model each.

    Gateways keep whole models, from the first one on, and move each number by the weighted mean of the updates that
    have it, whatever the server rule is; one that no update has stays as it is.

    Args:
        held: Model each satellite holds at first, (S, P); numbers outside its part become 0.
        num_shared: Number of leading columns that are federated.
        num_gateways: Number of gateways, G.
        mask: Which of these columns are in each satellite's part, (S, num_shared).
    """

    def __init__(self, held: Tensor, num_shared: int, num_gateways: int, mask: Tensor) -> None:
        super().__init__(held, num_shared, num_gateways)
        self._mask = mask
        self.held = self._cut(held.clone())

    def start_parameters(self, decision: Decision, trains: BoolArray) -> Tensor:
        """What satellites start from, (S, P): those that train their part of their cluster's model at their gateway."""
        start = self.held.clone()
        self._deliver(start, decision, np.flatnonzero(trains), BEFORE_TRAINING)
        return self._cut(start)

    def distribute(self, decision: Decision, fetches: BoolArray) -> None:
        """Satellites that fetch, (S,), get their part of their gateway's present model."""
        super().distribute(decision, fetches)
        self._cut(self.held)

    def combined(self, intake: Intake, arrivals: Arrivals, combine: Combine) -> Tensor:
        """The model of each group, (K, num_shared), moved from the gateway's own."""
        members, index = intake.members, intake.group_of
        updates = take_rows(arrivals.received, members) - take_rows(arrivals.start[:, : self.num_shared], members)
        models, row = self.first.repeat(len(intake.groups[0]), 1), self._row[intake.groups]
        write_rows(models, np.flatnonzero(row >= 0), self._models, row[row >= 0])
        step = combine_updates(self._marked(updates, members), intake.weights[members], index, overlapping_mean)
        return self.moved(intake.groups, models, step)

    def give_first_models(self, intake: Intake, arrivals: Arrivals) -> None:
        """Gateways without a model of a group keep the first one."""
        gateways, labels = intake.groups
        new = self._row[intake.groups] < 0
        if new.any():
            self._put((gateways[new], labels[new]), self.first.repeat(int(new.sum()), 1))

    def wait(self, intake: Intake, updates: Tensor, version: IntArray) -> None:
        """Keep updates for later; see `ModelStore.wait`."""
        super().wait(intake, self._marked(updates, intake.members), version)

    def move(self, group: tuple[int, int], combine: Combine, server_rate: float) -> None:
        """Move a model along its waiting updates; see `ModelStore.move`."""
        super().move(group, overlapping_mean, server_rate)

    def _cut(self, models: Tensor) -> Tensor:
        """Set the shared numbers outside each satellite's part of models (S, P) to 0."""
        models[:, : self.num_shared].masked_fill_(~self._mask, 0.0)
        return models

    def _marked(self, updates: Tensor, members: IntArray) -> Tensor:
        """Updates (R, num_shared) of satellites (R,), NaN outside their parts."""
        return updates.masked_fill(~self._mask[torch.from_numpy(members)], torch.nan)
