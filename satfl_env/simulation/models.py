"""Who holds which model: satellites, gateways (one per cluster) and the cloud that merges them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import (
    Combine,
    cloud_aggregate,
    combine_groups,
    combine_updates,
    gateway_aggregate,
    normalise_weights,
    raw_cloud_weights,
    take_rows,
    write_rows,
)
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

Group = tuple[int, int]
# Gateways and labels of K groups, each (K,).
Groups = tuple[IntArray, IntArray]
# From models (n, num_shared) as gateways send them to what arrives; the number tells a round's two occasions apart.
Downlink = Callable[[Tensor, int], Tensor]
BEFORE_TRAINING, AFTER_TRAINING = 0, 1


@dataclass(frozen=True, eq=False)
class Arrivals:
    """The results of training, as gateways receive them.

    Attributes:
        start: Parameters that satellites trained from, (S, P).
        trained: Parameters after training, (S, P).
        received: Shared parameters as they arrived, (S, num_shared).
        returned: Satellites whose update came back, (S,).
        sender: The satellite that talks to the gateway for each satellite, (S, G).
        samples: Training samples of each satellite, (S,).
    """

    start: Tensor
    trained: Tensor
    received: Tensor
    returned: BoolArray
    sender: IntArray
    samples: IntArray


class Intake(NamedTuple):
    """The updates that gateways take in during a round, R satellites in K (gateway, cluster) groups.

    Attributes:
        members: Satellites whose update came back, (R,).
        groups: Gateways and clusters of the groups, each (K,).
        group_of: Group of each member, (R,).
        weights: Weights used, (S,): they sum to 1 inside each group, 0 for everyone else.
        equal_weights: Satellites in groups whose raw weights were all zero and were made equal, (S,).
        cloud_weights: Raw weight of each group at the cloud, (K,).
    """

    members: IntArray
    groups: Groups
    group_of: IntArray
    weights: FloatArray
    equal_weights: BoolArray
    cloud_weights: FloatArray

    def part(self, groups: BoolArray) -> Intake:
        """Some of the groups, (K,); the weights stay those of all."""
        inside = groups[self.group_of]
        return self._replace(
            members=self.members[inside],
            groups=(self.groups[0][groups], self.groups[1][groups]),
            group_of=(groups.cumsum() - 1)[self.group_of[inside]],
            cloud_weights=self.cloud_weights[groups],
        )


class Waiting(NamedTuple):
    """Updates of one group that wait to be aggregated.

    Attributes:
        updates: Shape (n, num_shared).
        weights: How much each counts, summing to n, (n,).
        cloud_weight: Raw weight of the group at the cloud.
        version: How often gateways had changed their models when the one that each was trained from was fetched, (n,).
    """

    updates: Tensor
    weights: Tensor
    cloud_weight: float
    version: IntArray


class Holdings(Protocol):
    """What satellites hold and fetch from gateways: models, and what goes with them.

    Attributes:
        held: What each satellite holds, a row each.
    """

    held: Tensor

    def start_parameters(self, decision: Decision, trains: BoolArray) -> Tensor:
        """The same with what satellites that train, (S,), fetch at their gateway."""


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
        self.first = held[0, :num_shared].clone()
        # How often gateways have changed their models.
        self.version = 0
        # What happens to gateways' models on their way to satellites in the present round; None changes nothing.
        self.downlink: Downlink | None = None
        self.waiting: dict[Group, Waiting] = {}
        # The model (num_shared,) that a satellite has delivered last, where a protocol remembers it.
        self.delivered: dict[int, Tensor] = {}
        # Updates that wait at each gateway, (G,); never changed in place.
        self.num_waiting = np.zeros(num_gateways, dtype=np.int64)
        # Row of each (gateway, cluster) in the table, -1 where the gateway has no model of the cluster.
        self._row = np.full((num_gateways, len(held)), -1)
        # Version in which each (gateway, cluster) got the model it holds, 0 without one; never changed in place.
        self.gateway_version = np.zeros_like(self._row)
        # Raw weight at the cloud of each group that changed since the last merge, NaN for the others.
        self.cloud_weights = np.full(self._row.shape, np.nan)

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

    def model_of(self, group: Group) -> Tensor:
        """The model (num_shared,) that a gateway holds of a cluster; the first model where it has none."""
        row = self._row[group]
        return self._models[row] if row >= 0 else self.first

    def newest(self, cluster: int) -> Tensor | None:
        """The model (num_shared,) of a cluster that was made last at any gateway; None if no gateway has one."""
        row, version = self._row[:, cluster], self.gateway_version[:, cluster]
        gateway = int(np.where(row >= 0, version, -1).argmax())
        return self._models[row[gateway]] if row[gateway] >= 0 else None

    def get_state(self) -> dict[str, Any]:
        """Everything that changes: plain numbers, NumPy arrays and tensors."""
        return {
            "held": self.held,
            "gateway_models": self.gateway_models,
            "cloud_weights": self.cloud_weights,
            "waiting": {group: tuple(waiting) for group, waiting in self.waiting.items()},
            "delivered": dict(self.delivered),
            "gateway_version": self.gateway_version,
            "version": self.version,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a state taken by `get_state`.

        Raises:
            ValueError: If it is that of a store of other sizes or of another kind.
        """
        if state.keys() != self.get_state().keys():
            raise ValueError(f"state['models'] has the entries {sorted(state)}; expected {sorted(self.get_state())}")
        for name in ("held", "cloud_weights", "gateway_version"):
            expected = tuple(getattr(self, name).shape)
            if tuple(state[name].shape) != expected:
                raise ValueError(f"state['models'][{name!r}] has shape {tuple(state[name].shape)}; expected {expected}")
        for name in ("gateway_models", "delivered"):
            for whose, model in state[name].items():
                if tuple(model.shape) != (self.num_shared,):
                    raise ValueError(
                        f"state['models'][{name!r}][{whose}] has shape {tuple(model.shape)}; "
                        f"expected {(self.num_shared,)}"
                    )
        waiting = {group: Waiting(*parts) for group, parts in state["waiting"].items()}
        for group, parts in waiting.items():
            self._check_waiting(group, parts)
        self.held, self.gateway_models, self.cloud_weights, self.gateway_version = (
            state[name] for name in ("held", "gateway_models", "cloud_weights", "gateway_version")
        )
        self.waiting, self.delivered = waiting, dict(state["delivered"])
        self.num_waiting = np.zeros_like(self.num_waiting)
        for (gateway, _), parts in waiting.items():
            self.num_waiting[gateway] += len(parts.updates)
        self.version = state["version"]

    def _check_waiting(self, group: Group, waiting: Waiting) -> None:
        """Raise `ValueError` if updates that wait are not those of a store of this size."""
        number = len(waiting.updates)
        expected = {"updates": (number, self.num_shared), "weights": (number,), "version": (number,)}
        for name, shape in expected.items():
            if tuple(getattr(waiting, name).shape) != shape:
                raise ValueError(
                    f"state['models']['waiting'][{group}] has {name} of shape "
                    f"{tuple(getattr(waiting, name).shape)}; expected {shape}"
                )

    def start_parameters(self, decision: Decision, trains: BoolArray) -> Tensor:
        """Parameters satellites start the round from, (S, P).

        A participant takes its cluster's model at its gateway; where there is none yet, the mean of the encoders of the
        participants of that group. Decoders are its own.
        """
        start = self.held.clone()
        members = np.flatnonzero(trains)
        row = self._row[decision.association[members], decision.cluster[members]]
        known, new = members[row >= 0], members[row < 0]
        if known.size:
            self._fetch(start, known, row[row >= 0], BEFORE_TRAINING)
        if new.size:
            _, index = self._groups(decision, new)
            equal = 1.0 / np.bincount(index)[index]
            means = gateway_aggregate(take_rows(self.held[:, : self.num_shared], new), equal, index)
            write_rows(start[:, : self.num_shared], new, means, index)
        return start

    def take_in(self, decision: Decision, arrivals: Arrivals) -> Intake:
        """Sort the updates that came back into groups and weigh them; satellites hold what they have trained."""
        weights, equal = np.zeros(len(arrivals.returned)), np.zeros(len(arrivals.returned), dtype=np.bool_)
        members = np.flatnonzero(arrivals.returned)
        groups, index = self._groups(decision, members)
        raw = decision.weights[members]
        weights[members], equal[members] = normalise_weights(raw, index)
        write_rows(self.held, members, arrivals.trained, members)
        cloud_weights = raw_cloud_weights(decision.gateway_weights, raw, groups[0], index)
        return Intake(members, groups, index, weights, equal, cloud_weights)

    def change(self, intake: Intake, arrivals: Arrivals, combine: Combine) -> None:
        """Gateways combine the updates that came back (SemSpaceFL, eq. 2; task clustering, eq. 5)."""
        if not intake.members.size:
            return
        models = self.combined(intake, arrivals, combine)
        self.version += 1
        self._put(intake.groups, models)
        self.cloud_weights[intake.groups] = intake.cloud_weights

    def give_first_models(self, intake: Intake, arrivals: Arrivals) -> None:
        """Gateways without a model of a group keep the one that its members have started from."""
        row = self._row[intake.groups]
        _, first = np.unique(intake.group_of, return_index=True)
        new = row < 0
        if new.any():
            start = take_rows(arrivals.start[:, : self.num_shared], intake.members[first[new]])
            self._put((intake.groups[0][new], intake.groups[1][new]), start)

    def combined(self, intake: Intake, arrivals: Arrivals, combine: Combine) -> Tensor:
        """The new model of each group of an intake, (K, num_shared)."""
        start, weights = arrivals.start[:, : self.num_shared], intake.weights[intake.members]
        return combine_groups(start, arrivals.received, intake.members, weights, intake.group_of, combine)

    def moved(self, groups: Groups, models: Tensor, updates: Tensor) -> Tensor:
        """The models of some groups, (K, num_shared), moved along their combined updates, (K, num_shared)."""
        return models + updates

    def wait(self, intake: Intake, updates: Tensor, version: IntArray) -> None:
        """Keep the updates of an intake for later; together they count as many as there are.

        Args:
            intake: R updates.
            updates: These updates, (R, num_shared).
            version: Version of the model that each was trained from, (R,).
        """
        for row, group in enumerate(each_group(intake.groups)):
            own = np.flatnonzero(intake.group_of == row)
            weights = torch.from_numpy(intake.weights[intake.members[own]] * own.size)
            before = self.waiting.get(group, Waiting(updates[:0], weights[:0], np.nan, version[:0]))
            self.waiting[group] = Waiting(
                torch.cat([before.updates, updates[own]]),
                torch.cat([before.weights, weights]),
                float(intake.cloud_weights[row]),
                np.concatenate([before.version, version[own]]),
            )
        at_gateway = intake.groups[0][intake.group_of]
        self.num_waiting = self.num_waiting + np.bincount(at_gateway, minlength=len(self.num_waiting))

    def ripe(self, decision: Decision) -> list[Group]:
        """Groups whose waiting updates are aggregated: all, unless the decision says which gateways do that."""
        return [group for group in self.waiting if decision.aggregates(group[0], scheduled=True)]

    def move(self, group: Group, combine: Combine, server_rate: float) -> None:
        """Move the model of a group along what its waiting updates combine to, `server_rate` times."""
        updates, weights, cloud_weight, _ = self.waiting.pop(group)
        self.num_waiting = self.num_waiting - len(updates) * (np.arange(len(self.num_waiting)) == group[0])
        one_group = np.zeros(len(updates), dtype=np.int64)
        step = combine_updates(updates, (weights / len(updates)).numpy(), one_group, combine)
        groups = np.array([group[0]]), np.array([group[1]])
        self._put(groups, self.moved(groups, self.model_of(group)[None], server_rate * step))
        self.cloud_weights[group] = cloud_weight

    def merge(self) -> tuple[FloatArray, BoolArray]:
        """The cloud merges, cluster by cluster, the models that changed since its last merge (SemSpaceFL, eq. 3).

        A gateway's raw weight is that of the last round in which its model changed; see `raw_cloud_weights`. Every
        gateway then holds the merged model of each merged cluster.

        Returns:
            The weights used, (S, G), and the clusters, by label, (S,), whose raw weights were all zero and made equal.
        """
        used, equal = self.no_merge()
        labels, gateways = np.nonzero(~np.isnan(self.cloud_weights.T))
        if not labels.size:
            return used, equal
        clusters, index = distinct(labels)
        weights, equal[labels] = normalise_weights(self.cloud_weights[gateways, labels], index)
        used[labels, gateways] = weights
        merged = cloud_aggregate(take_rows(self._models, self._row[gateways, labels]), weights, index)
        self._put((slice(None), clusters), merged)
        self.cloud_weights[:] = np.nan
        return used, equal

    def no_merge(self) -> tuple[FloatArray, BoolArray]:
        """What `merge` returns where nothing is merged."""
        return np.zeros(self.cloud_weights.T.shape), np.zeros(len(self.held), dtype=np.bool_)

    def distribute(self, decision: Decision, fetches: BoolArray) -> None:
        """Satellites that fetch, (S,), get their gateway's present model of their cluster, the first model if none."""
        self._deliver(self.held, decision, np.flatnonzero(fetches), AFTER_TRAINING)

    def _deliver(self, target: Tensor, decision: Decision, members: IntArray, occasion: int) -> None:
        """Write what satellites (R,) fetch as the shared part of their models: the first model if there is none."""
        row = self._row[decision.association[members], decision.cluster[members]]
        known, new = members[row >= 0], members[row < 0]
        if known.size:
            self._fetch(target, known, row[row >= 0], occasion)
        if new.size:
            target[torch.from_numpy(new), : self.num_shared] = self.first

    def _fetch(self, target: Tensor, satellites: IntArray, row: IntArray, occasion: int) -> None:
        """Write what arrives of these rows of the gateways' table as the shared part of some satellites' models."""
        arriving = self._models
        if self.downlink is not None:
            arriving, row = self.downlink(take_rows(self._models, row), occasion), np.arange(len(row))
        write_rows(target[:, : self.num_shared], satellites, arriving, row)

    def _put(self, groups: Any, models: Tensor) -> None:
        """Store the models (K, num_shared) of `groups`, an index of the gateways' table; drop models no longer held.

        Each of them must be of at least one group.
        """
        self.gateway_version = self.gateway_version.copy()
        self.gateway_version[groups] = self.version
        before, number = self._models, len(self._models)
        self._row[groups] = np.arange(number, number + len(models))
        held = self._row >= 0
        in_use, self._row[held] = distinct(self._row[held])
        self._models = torch.cat([take_rows(before, in_use[in_use < number]), models])

    def _groups(self, decision: Decision, members: IntArray) -> tuple[Groups, IntArray]:
        """Distinct (gateway, cluster) groups of some satellites, and the index of each one's group."""
        num_labels = self._row.shape[1]
        codes, index = distinct(decision.association[members] * num_labels + decision.cluster[members])
        return np.divmod(codes, num_labels), index


def each_group(groups: Groups) -> list[Group]:
    """Gateway and cluster of each group."""
    gateways, labels = groups
    return list(zip(gateways.tolist(), labels.tolist(), strict=True))


def distinct(numbers: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct values (K,) of small integers (R,) >= 0, ascending, and the index of each; without sorting."""
    occurs = np.bincount(numbers) > 0
    return np.flatnonzero(occurs), (occurs.cumsum() - 1)[numbers]
