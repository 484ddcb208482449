"""Which satellites a gateway serves at once, and how these share its band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import numpy as np
from pydantic import model_validator
from pydantic.dataclasses import dataclass

from satfl_env.federated import normalise_weights
from satfl_env.settings import STRICT, Count
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray, NetworkState

Order = Literal["weights", "window", "rate"]
Sharing = Literal["equal", "need", "weights", "decided"]


class Access(Protocol):
    """How gateways let satellites have their band. It is asked once the decision of a round is there."""

    @property
    def most_served(self) -> int | None:
        """Most satellites that a gateway serves in a round; None where there is no limit."""

    @property
    def takes_bandwidth(self) -> bool:
        """Whether a decision may say how satellites share the band, see `Decision.bandwidth`."""

    def served(self, state: NetworkState, decision: Decision, asks: BoolArray) -> BoolArray:
        """Which of the satellites that `asks` their gateways serve, (S,).

        Args:
            state: The network at the start of the round.
            decision: A decision that fits it.
            asks: Satellites that could take part if they were alone on the links, (S,).
        """

    def shares(self, state: NetworkState, decision: Decision, sends: BoolArray) -> FloatArray | None:
        """Each satellite's share of its gateway's band in [0, 1], (S,); None: equal parts, as links divide it.

        Args:
            state: The network at the start of the round.
            decision: A decision that fits it.
            sends: Those of the satellites served that still take part, (S,); they alone need a share.
        """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GatewayAccess:
    r"""Spot beams, subcarriers and shares of the band (SemSpaceFL, eq. 10-14).

    A gateway serves at most as many satellites as it has beams and subcarriers: the first in `order`, and among equals
    that of the lowest number. The others are not served. Those of gateway g that take part, $\mathcal{U}_g$, share its
    band by their claims $c_s$,

    $$b_s = B \frac{c_s}{\sum_{j \in \mathcal{U}_g} c_j}$$

    and no satellite has more than it can use. One whose claim is 0 beside others that are not is not served; claims
    that are all 0 count as equal.

    Attributes:
        beams: Satellites that a gateway serves at once; None: any number.
        subcarriers: Equal parts of the band, of which each satellite has a whole number and at least one; None: the
            band is divided as finely as need be. What is left over goes to the largest remainders.
        order: Who is served first, where there is a limit: the highest raw weight in the decision, the shortest window,
            whose contact ends first, or the highest rate alone on the band.
        sharing: Claims: `equal`; `need`, the bits of a model over the spectral efficiency of the satellite alone on the
            band, so that transfers take about equally long; `weights`, the raw weights of the decision; or `decided`,
            its `bandwidth`, equal where it has none.

    Raises:
        ValueError: If a value is out of its range, or an order is given where everyone is served.
    """

    beams: Count | None = None
    subcarriers: Count | None = None
    order: Order = "weights"
    sharing: Sharing = "equal"

    @model_validator(mode="after")
    def _order_matters(self) -> GatewayAccess:
        if self.most_served is None and self.order != GatewayAccess.order:
            raise ValueError(
                f"order must be {GatewayAccess.order!r} where beams and subcarriers are null, got {self.order!r}: "
                "everyone is served"
            )
        return self

    @property
    def most_served(self) -> int | None:
        """The smaller of beams and subcarriers."""
        return min((limit for limit in (self.beams, self.subcarriers) if limit is not None), default=None)

    @property
    def takes_bandwidth(self) -> bool:
        """Whether `sharing` is `decided`."""
        return self.sharing == "decided"

    def served(self, state: NetworkState, decision: Decision, asks: BoolArray) -> BoolArray:
        """The first in order at each gateway, of those that claim some band."""
        if self.beams is None and self.subcarriers is None and self.sharing in ("equal", "need"):
            return asks
        asking = np.flatnonzero(asks)
        asking = asking[self._shares_of(state, decision, asking) > 0]
        # Sorting is stable: equals stay in the order of their numbers.
        ranked = asking[np.lexsort((_RANKS[self.order](state, decision, asking), decision.association[asking]))]
        gateways = decision.association[ranked]
        place = np.arange(len(ranked)) - np.searchsorted(gateways, gateways)
        served = np.zeros(len(asks), dtype=np.bool_)
        most = self.most_served
        served[ranked if most is None else ranked[place < most]] = True
        return served

    def shares(self, state: NetworkState, decision: Decision, sends: BoolArray) -> FloatArray | None:
        """Claims divided by their sum at each gateway, in whole subcarriers where there are some."""
        if self.sharing == "equal" and self.subcarriers is None:
            return None
        members = np.flatnonzero(sends)
        share = self._shares_of(state, decision, members)
        if self.subcarriers is not None:
            share = whole_parts(share, decision.association[members], self.subcarriers) / self.subcarriers
        shares = np.zeros(len(sends))
        shares[members] = share
        return shares

    def _shares_of(self, state: NetworkState, decision: Decision, members: IntArray) -> FloatArray:
        shares, _ = normalise_weights(_CLAIMS[self.sharing](state, decision, members), decision.association[members])
        return shares


_Rule = Callable[[NetworkState, Decision, IntArray], FloatArray]


def _at_gateway(values: FloatArray, decision: Decision, members: IntArray) -> FloatArray:
    return values[members, decision.association[members]]


def _bandwidth(state: NetworkState, decision: Decision, members: IntArray) -> FloatArray:
    return np.ones(len(members)) if decision.bandwidth is None else decision.bandwidth[members]


# Of satellites that are associated with a gateway in sight. What has the lowest rank is served first.
_RANKS: Mapping[Order, _Rule] = {
    "weights": lambda state, decision, members: -decision.weights[members],
    "window": lambda state, decision, members: _at_gateway(state.window_s, decision, members),
    "rate": lambda state, decision, members: -_at_gateway(state.rate_bps, decision, members),
}
_CLAIMS: Mapping[Sharing, _Rule] = {
    "equal": lambda state, decision, members: np.ones(len(members)),
    "need": lambda state, decision, members: 1.0 / _at_gateway(state.rate_bps, decision, members),
    "weights": lambda state, decision, members: decision.weights[members],
    "decided": _bandwidth,
}


def whole_parts(shares: FloatArray, groups: IntArray, parts: int) -> IntArray:
    """Whole numbers of `parts` in proportion to shares, at least one each, (R,); their sum in each group is `parts`.

    Every member has one part. The others are divided by the method of the largest remainder (Hamilton's).

    Args:
        shares: Shares that sum to 1 in each group, (R,).
        groups: Group of each share, (R,), none of more than `parts` members.
        parts: Parts of each group.
    """
    whole = np.ones(len(shares), dtype=np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        spare = shares[members] * (parts - len(members))
        extra = np.floor(spare).astype(np.int64)
        largest = np.argsort(extra - spare, kind="stable")
        extra[largest[: parts - len(members) - extra.sum()]] += 1
        whole[members] += extra
    return whole
