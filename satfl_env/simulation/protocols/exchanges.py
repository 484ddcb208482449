"""How satellites exchange models over inter-satellite links: who gets what, how long it takes, how much is sent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Literal, NamedTuple, Protocol

import numpy as np
from pydantic.dataclasses import dataclass

from satfl_env.federated import component_means, components, metropolis_weights
from satfl_env.settings import STRICT, Count
from satfl_env.simulation.protocols.isl_graph import IslGraph, Which
from satfl_env.simulation.state import FloatArray


class Exchange(NamedTuple):
    """What an exchange does and costs.

    Attributes:
        mixing: Weights by which each satellite averages all models, doubly stochastic, (S, S).
        time_s: Time until each has the models that it averages, (S,).
        sending_s: Time that it sends, summed over its terminals, (S,).
        sends: Models that it sends, (S,).
    """

    mixing: FloatArray
    time_s: FloatArray
    sending_s: FloatArray
    sends: FloatArray


class Stage(Protocol):
    """One stage of an exchange."""

    def exchange(self, graph: IslGraph) -> Exchange:
        """What it does over the links of those that take part."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Neighbours:
    """Each satellite sends its model to its neighbours, and averages those that it gets, by Metropolis weights.

    Attributes:
        links: Over `all` links, those inside a `plane` or those `across` planes.
        times: How many times over.
    """

    kind: Literal["neighbours"] = "neighbours"
    links: Which = "all"
    times: Count = 1

    def exchange(self, graph: IslGraph) -> Exchange:
        """The slowest of its links is what each waits for."""
        graph = graph.of_kind(self.links)
        weights = metropolis_weights(graph.one, graph.other, graph.num_satellites)
        return Exchange(
            mixing=np.linalg.matrix_power(weights, self.times),
            time_s=self.times * graph.most_over_links(graph.model_s),
            sending_s=self.times * graph.sum_over_links(graph.model_s - graph.delay_s),
            sends=self.times * graph.degree.astype(np.float64),
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Ring:
    r"""The satellites of a plane get the mean of all their models, summed up along the ring (ring all-reduce).

    Models are cut into as many parts as there are satellites, n. A part goes around once to be summed up, and once more
    as the sum: 2 (n - 1) steps over the slowest link, each with a part of $M / n$ bits,

    $$t = 2 (n - 1) \left(\frac{M}{n R} + \frac{d}{c}\right)$$

    so that everyone sends $2 (n - 1) / n$ models. Where satellites are missing, each stretch of the ring is a ring of
    its own, closed over the same links. P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
    workstations", Journal of Parallel and Distributed Computing 69(2), 2009.
    """

    kind: Literal["ring"] = "ring"

    def exchange(self, graph: IslGraph) -> Exchange:
        """The slowest link of its plane is what each waits for."""
        graph = graph.of_kind("plane")
        component = components(graph.one, graph.other, graph.num_satellites)
        size = np.bincount(component)[component]
        slowest = np.zeros((2, component.max(initial=-1) + 1))
        for most, values in zip(slowest, (graph.model_s - graph.delay_s, graph.delay_s), strict=True):
            np.maximum.at(most, component[graph.one], values)
        sending_s, delay_s = slowest[:, component]
        sends = 2.0 * (size - 1) / size
        return Exchange(
            mixing=component_means(component),
            time_s=sends * sending_s + 2 * (size - 1) * delay_s,
            sending_s=sends * sending_s,
            sends=sends,
        )


def one_after_another(exchanges: Sequence[Exchange]) -> Exchange:
    """Several exchanges as one; there is at least one."""
    mixing, *costs = zip(*exchanges, strict=True)
    return Exchange(reduce(lambda before, after: after @ before, mixing), *(np.sum(cost, axis=0) for cost in costs))
