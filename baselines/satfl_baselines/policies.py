"""Policies composed of rules, and their registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import satfl_env
from satfl_baselines import aggregation, association, clustering, frequency
from satfl_baselines.aggregation import AggregationRule, GatewayRule, Participants, gateway_contribution, gateway_mean
from satfl_baselines.arrays import FloatArray, IntArray
from satfl_baselines.association import AssociationRule, at_gateway
from satfl_baselines.clustering import ClusteringRule
from satfl_baselines.frequency import FrequencyRule, training_energy_j
from satfl_env.suggestions import did_you_mean

if TYPE_CHECKING:
    from satfl_env import Decision, NetworkState

EpochRule = Callable[["NetworkState", IntArray, FloatArray], IntArray]


def predicted_epochs(state: NetworkState, gateway: IntArray, cpu_frequency: FloatArray) -> IntArray:
    """Local epochs each satellite can expect to train, (S,); 0 for those that will not take part (SemSpaceFL, eq. 19).

    The link time is that of a satellite alone on its gateway's band, so crowded gateways may bring a little less.
    """
    epochs = satfl_env.affordable_epochs(
        at_gateway(state.window_s, gateway),
        at_gateway(state.link_s, gateway),
        state.samples,
        training_energy_j(state, gateway),
        cpu_frequency,
        cycles_per_sample=state.cycles_per_sample,
        kappa=state.kappa,
    )
    return np.minimum(epochs, state.max_epochs)


def one_epoch_each(state: NetworkState, gateway: IntArray, cpu_frequency: FloatArray) -> IntArray:
    """Every associated satellite is expected to return an update, as with late updates (`rounds.late`)."""
    return np.asarray(gateway != state.sits_out, dtype=np.int64)


@dataclass(frozen=True)
class Policy:
    """A scheduling policy, `NetworkState -> Decision`.

    Weights are scaled to [0, 1], so that the same decision is a valid action of the environment; satellites that are
    not expected to take part have weight 0.

    Attributes:
        name: Its name in the registry.
        description: One-line description.
        association: Which gateway each satellite trains for.
        frequency: How fast its CPU runs.
        clustering: Which satellites share a model.
        aggregation: How much its update counts.
        expected: Local epochs that each satellite is expected to bring back.
        gateways: How much a gateway counts at the cloud.
    """

    name: str
    description: str
    association: AssociationRule
    frequency: FrequencyRule
    clustering: ClusteringRule
    aggregation: AggregationRule
    expected: EpochRule = predicted_epochs
    gateways: GatewayRule = gateway_contribution

    def __call__(self, state: NetworkState) -> Decision:
        """Decide on the round that is about to begin."""
        gateway = self.association(state)
        cpu_frequency = self.frequency(state, gateway)
        cluster = self.clustering(state)
        epochs = self.expected(state, gateway, cpu_frequency)
        members = np.flatnonzero(epochs)
        participants = Participants(
            samples=state.samples[members],
            epochs=epochs[members],
            loss=state.last_loss[members],
            group=_group_index(gateway[members], cluster[members]),
        )
        contribution = self.aggregation(participants)
        weights = np.zeros(state.num_satellites)
        weights[members] = contribution
        gateway_weights = self.gateways(contribution, gateway[members], state.num_gateways)
        return satfl_env.Decision(
            association=gateway,
            cpu_frequency=cpu_frequency,
            cluster=cluster,
            weights=_scaled(weights),
            gateway_weights=_scaled(gateway_weights),
        )


_FULL = Policy(
    "full",
    "both papers' rules together",
    association.longest_window,
    frequency.closed_form,
    clustering.jensen_shannon,
    aggregation.fed_sel,
)
_SEMSPACEFL = replace(
    _FULL,
    name="semspacefl",
    description="SemSpaceFL: longest window, closed-form frequency, FedSEL weights",
    clustering=clustering.one_cluster,
)
_TASK_CLUSTERING = replace(
    _FULL,
    name="task-clustering",
    description="task clustering by label distributions, plain means inside clusters",
    aggregation=aggregation.uniform,
)
_NEAREST_FEDAVG = replace(
    _SEMSPACEFL,
    name="nearest-fedavg",
    description="SemSpaceFL's benchmark: nearest gateway, FedAvg weights",
    association=association.nearest,
    aggregation=aggregation.fed_avg,
)
# All policies but `random`, which has a generator.
_POLICIES = (
    _FULL,
    _SEMSPACEFL,
    *(
        replace(_SEMSPACEFL, name=f"proposed-{name}", description=f"longest window, {title} weights", aggregation=rule)
        for name, title, rule in (
            ("fedavg", "FedAvg", aggregation.fed_avg),
            ("fedavep", "FedAvep", aggregation.fed_avep),
            ("fedindi", "FedIndi", aggregation.fed_indi),
            ("fedlol", "FedLol", aggregation.fed_lol),
        )
    ),
    *(
        replace(
            _SEMSPACEFL,
            name=f"gateway-mean-{name}",
            description=f"longest window, {title} weights, gateways count as the mean of their satellites",
            aggregation=rule,
            gateways=gateway_mean,
        )
        for name, title, rule in (
            ("fedsel", "FedSEL", aggregation.fed_sel),
            ("fedindi", "FedIndi", aggregation.fed_indi),
            ("fedlol", "FedLol", aggregation.fed_lol),
        )
    ),
    _TASK_CLUSTERING,
    replace(
        _TASK_CLUSTERING,
        name="gap-clustering",
        description="task clustering with the widest gap between similarities as threshold",
        clustering=partial(clustering.jensen_shannon, threshold="largest-gap"),
    ),
    replace(
        _TASK_CLUSTERING,
        name="update-clustering",
        description="task clustering without labels: by the cosine of the first round's updates",
        clustering=clustering.similar_updates,
    ),
    _NEAREST_FEDAVG,
    replace(
        _NEAREST_FEDAVG,
        name="nearest-fedavep",
        description="SemSpaceFL's benchmark: nearest gateway, FedAvep weights",
        aggregation=aggregation.fed_avep,
    ),
    replace(
        _NEAREST_FEDAVG,
        name="fedsat",
        description="FedSat: every satellite in sight returns an update (with rounds.late), weights by samples",
        expected=one_epoch_each,
    ),
    replace(
        _NEAREST_FEDAVG,
        name="fedbuff",
        description="FedBuff: every satellite in sight returns an update (with rounds.late.buffer), plain means",
        aggregation=aggregation.uniform,
        expected=one_epoch_each,
    ),
    replace(
        _NEAREST_FEDAVG,
        name="fedleo",
        description="FedLEO: through the plane's longest contact (with rounds.relay), weights by samples",
        association=association.longest_window,
    ),
    replace(
        _NEAREST_FEDAVG,
        name="single-gateway-fedavg",
        description="SemSpaceFL's benchmark: one gateway only, FedAvg weights",
        association=association.single_gateway,
    ),
    replace(
        _TASK_CLUSTERING,
        name="unclustered",
        description="task clustering's benchmark: plain means over everyone",
        clustering=clustering.one_cluster,
    ),
    replace(
        _TASK_CLUSTERING,
        name="individual",
        description="task clustering's benchmark: everyone trains alone",
        clustering=clustering.singletons,
    ),
    replace(
        _FULL,
        name="max-frequency",
        description="full, but every CPU at its highest frequency",
        frequency=frequency.maximum,
    ),
)
_TABLE = {policy.name: policy for policy in _POLICIES}
RANDOM = "random"


def make_policy(name: str, seed: int = 0) -> Policy:
    """A policy of the registry.

    Args:
        name: One of `policy_names()`.
        seed: Seeds the random rules; the others do not depend on it.

    Raises:
        ValueError: If there is no policy of that name.
    """
    check_policy_name(name)
    return _random_policy(np.random.default_rng(seed)) if name == RANDOM else _TABLE[name]


def policy_names() -> tuple[str, ...]:
    """Names of all policies."""
    return (*_TABLE, RANDOM)


def check_policy_name(name: str) -> None:
    """Raise `ValueError` if there is no policy of that name in the registry."""
    known = policy_names()
    if name not in known:
        raise ValueError(f"unknown policy {name!r}{did_you_mean(str(name), known)}; there are: {', '.join(known)}")


def _random_policy(rng: np.random.Generator) -> Policy:
    return Policy(
        RANDOM,
        "every part of the decision drawn at random",
        partial(association.random_association, rng=rng),
        partial(frequency.random_frequency, rng=rng),
        partial(clustering.random_clusters, rng=rng),
        partial(aggregation.random_weights, rng=rng),
    )


def _group_index(gateway: IntArray, cluster: IntArray) -> IntArray:
    """Index of each satellite's (gateway, cluster) group, from 0."""
    _, index = np.unique(np.stack([gateway, cluster], axis=1), axis=0, return_inverse=True)
    return index.reshape(-1)


def _scaled(weights: FloatArray) -> FloatArray:
    """Weights divided by the highest, so that they lie in [0, 1]."""
    highest = weights.max(initial=0.0)
    return weights / highest if highest > 0 else weights
