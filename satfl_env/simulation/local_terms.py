"""What satellites minimise in local training beside their loss, and what is remembered for it.

`PlainLoss`, `FedProx` and `Scaffold` are settings; each makes the terms of an episode, which change in its rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from satfl_env.federated import LocalObjective, take_rows
from satfl_env.settings import STRICT, NonNegative, default_of
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Group, distinct, each_group
from satfl_env.simulation.protocols import RoundProtocol
from satfl_env.simulation.state import BoolArray, IntArray


class LocalTerms:
    """The terms of an episode: here nothing beside the loss. Others derive from it."""

    def objective(self, protocol: RoundProtocol, decision: Decision, trains: BoolArray) -> LocalObjective | None:
        """What satellites minimise beside their loss in a round; nothing changes yet."""
        return None

    def learn(self, decision: Decision, arrivals: Arrivals, gradient: Tensor | None) -> None:
        """Take in a round's updates that came back, and the mean gradients (S, n) of the minibatches' losses.

        Gradients are None where `objective` gave None.
        """

    def merge(self) -> None:
        """The cloud merges the gateways' models."""

    def distribute(self, decision: Decision, fetches: BoolArray) -> None:
        """Satellites that fetch, (S,), leave the round with their gateway's model."""

    def get_state(self) -> dict[str, Any]:
        """Everything that changes: plain numbers, NumPy arrays and tensors."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a state taken by `get_state`.

        Raises:
            ValueError: If it is that of other terms, or of other sizes.
        """
        if state.keys() != self.get_state().keys():
            raise ValueError(f"state['local'] has the entries {sorted(state)}; expected {sorted(self.get_state())}")


class LocalRule(Protocol):
    """Makes the terms of an episode; it keeps nothing itself."""

    @property
    def extra_vectors(self) -> int:
        """Vectors of a model's size that travel with a model, each way and uncompressed."""

    def episode(self, first: Tensor) -> LocalTerms:
        """The terms of an episode that starts with these federated parameters, (S, n)."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PlainLoss:
    """Satellites minimise their loss alone."""

    kind: Literal["loss"] = "loss"
    extra_vectors: ClassVar[int] = 0

    def episode(self, first: Tensor) -> LocalTerms:
        """The terms of an episode: none."""
        return LocalTerms()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedProx:
    r"""Satellites minimise $L(w) + \frac{\mu}{2} \lVert w - w_0 \rVert^2$, with $w_0$ where their round starts.

    T. Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020, eq. 2.

    Attributes:
        proximal_mu: Weight of the proximal term over the federated parameters; at 0 nothing is added.
    """

    kind: Literal["fedprox"] = "fedprox"
    proximal_mu: NonNegative
    extra_vectors: ClassVar[int] = 0

    def episode(self, first: Tensor) -> LocalTerms:
        """The terms of an episode."""
        return ProximalTerm(first, self.proximal_mu)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Scaffold:
    r"""Satellites correct each gradient by control variates: $g - c_i + c$ in place of $g$.

    S. P. Karimireddy et al., "SCAFFOLD: Stochastic Controlled Averaging for Federated Learning", ICML 2020, algorithm
    1; see `ControlVariates`.

    Attributes:
        proximal_mu: Weight of the proximal term of `FedProx`, which goes together with it.
    """

    kind: Literal["scaffold"] = "scaffold"
    proximal_mu: NonNegative = default_of(LocalObjective, "proximal_mu")
    extra_vectors: ClassVar[int] = 1

    def episode(self, first: Tensor) -> LocalTerms:
        """The terms of an episode: all control variates are 0."""
        return ControlVariates(first, self.proximal_mu)


class ProximalTerm(LocalTerms):
    """The proximal term of `FedProx`."""

    def __init__(self, first: Tensor, proximal_mu: float) -> None:
        self._objective = LocalObjective(torch.zeros_like(first), proximal_mu)

    def objective(self, protocol: RoundProtocol, decision: Decision, trains: BoolArray) -> LocalObjective | None:
        """The same in every round."""
        return self._objective


class ControlVariates(LocalTerms):
    r"""The control variates of SCAFFOLD, over n federated parameters.

    A satellite's own, $c_i$, is the mean gradient of its minibatches in the last round whose update came back. With
    plain gradient descent this is option II of the paper, $c_i - c + (x - y_i) / (K \eta)$; with Adam it stays a
    gradient, which the steps then are not, and the correction comes before Adam.

    A gateway's, $c$, is the sum of those that it knows in a cluster, over the number of satellites in the cluster: what
    came back to it since the last merge, and everything before. The cloud adds up what gateways have learned since, so
    that after a merge $c = \frac{1}{N} \sum_i c_i$ at all of them. Satellites fetch it with the model.

    A satellite that changes its cluster counts in the old one until its update comes back.

    Args:
        first: Federated parameters at first, (S, n).
        proximal_mu: Weight of the proximal term.

    Attributes:
        own: Control variate of each satellite, (S, n).
        held: Its gateway's, as each has fetched it last, (S, n).
        label: Cluster in which each one's own counts, (S,).
    """

    def __init__(self, first: Tensor, proximal_mu: float) -> None:
        self._mu = proximal_mu
        self.own = torch.zeros_like(first)
        self.held = torch.zeros_like(first)
        self.label = np.zeros(len(first), dtype=np.int64)
        # Sums by cluster at the last merge, and what each (gateway, cluster) has learned since, (n,).
        self._merged: dict[int, Tensor] = {}
        self._since: dict[Group, Tensor] = {}

    def objective(self, protocol: RoundProtocol, decision: Decision, trains: BoolArray) -> LocalObjective | None:
        """The correction c - c_i, with c fetched when the protocol has satellites fetch their model."""
        return LocalObjective(protocol.start(self, decision, trains) - self.own, self._mu)

    def start_parameters(self, decision: Decision, trains: BoolArray) -> Tensor:
        """The gateways' control variates where satellites train, (S, n); what they hold where they do not."""
        start = self.held.clone()
        self._fetch(start, decision, trains)
        return start

    def learn(self, decision: Decision, arrivals: Arrivals, gradient: Tensor | None) -> None:
        """Satellites whose update came back take on a new control variate, and their gateway learns of the change."""
        members = np.flatnonzero(arrivals.returned)
        if not members.size:
            return
        assert gradient is not None  # trained under an objective
        gateway, label = decision.association[members], decision.cluster[members]
        new = take_rows(gradient, members)
        self._add(gateway, self.label[members], -take_rows(self.own, members))
        self._add(gateway, label, new)
        self.own = self.own.index_copy(0, torch.from_numpy(members), new)
        self.label = self.label.copy()
        self.label[members] = label

    def merge(self) -> None:
        """The cloud adds up what all gateways have learned."""
        for (_, label), change in self._since.items():
            self._merged[label] = self._merged.get(label, 0) + change
        self._since.clear()

    def distribute(self, decision: Decision, fetches: BoolArray) -> None:
        """Satellites that fetch, (S,), hold their gateway's control variate."""
        self.held = self.start_parameters(decision, fetches)

    def get_state(self) -> dict[str, Any]:
        """Everything that changes."""
        return {
            "own": self.own,
            "held": self.held,
            "label": self.label,
            "merged": dict(self._merged),
            "since": dict(self._since),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to a state taken by `get_state`.

        Raises:
            ValueError: If it is that of other terms, or of other sizes.
        """
        super().set_state(state)
        for name in ("own", "held", "label"):
            _check_shape(f"[{name!r}]", state[name], tuple(getattr(self, name).shape))
        for name in ("merged", "since"):
            for key, vector in state[name].items():
                _check_shape(f"[{name!r}][{key!r}]", vector, tuple(self.own.shape[1:]))
        self.own, self.held, self.label = (state[name] for name in ("own", "held", "label"))
        self._merged, self._since = dict(state["merged"]), dict(state["since"])

    def _fetch(self, target: Tensor, decision: Decision, fetches: BoolArray) -> None:
        """Write the gateways' control variates into the rows (S, n) of satellites that fetch, (S,)."""
        members, in_cluster = np.flatnonzero(fetches), np.bincount(decision.cluster)
        groups, index = self._groups(decision.association[members], decision.cluster[members])
        nothing = target.new_zeros(target.shape[1])
        for row, (gateway, label) in enumerate(groups):
            known = self._merged.get(label, nothing) + self._since.get((gateway, label), nothing)
            target[torch.from_numpy(members[index == row])] = known / int(in_cluster[label])

    def _add(self, gateway: IntArray, label: IntArray, changes: Tensor) -> None:
        """Gateways (R,) learn of changes (R, n) of the sums of some clusters (R,)."""
        groups, index = self._groups(gateway, label)
        sums = changes.new_zeros(len(groups), changes.shape[1]).index_add_(0, torch.from_numpy(index), changes)
        for group, change in zip(groups, sums, strict=True):
            self._since[group] = self._since.get(group, 0) + change

    def _groups(self, gateway: IntArray, label: IntArray) -> tuple[list[Group], IntArray]:
        """Distinct pairs of gateways and clusters, (R,) each, and the index of each one's pair."""
        codes, index = distinct(gateway * len(self.own) + label)
        return each_group(np.divmod(codes, len(self.own))), index


def _check_shape(name: str, value: Any, expected: tuple[int, ...]) -> None:
    if tuple(value.shape) != expected:
        raise ValueError(f"state['local']{name} has shape {tuple(value.shape)}; expected {expected}")
