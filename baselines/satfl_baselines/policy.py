"""A scheduling policy, composed of rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import satfl_env
from satfl_baselines.aggregation import AggregationRule, GatewayRule, Participants, gateway_contribution
from satfl_baselines.arrays import FloatArray, IntArray
from satfl_baselines.association import AssociationRule
from satfl_baselines.clustering import ClusteringRule
from satfl_baselines.epochs import EpochRule, predicted_epochs
from satfl_baselines.frequency import FrequencyRule

if TYPE_CHECKING:
    from satfl_env import Decision, NetworkState


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


def _group_index(gateway: IntArray, cluster: IntArray) -> IntArray:
    """Index of each satellite's (gateway, cluster) group, from 0."""
    # Rules may give small integers, which the products would not fit.
    number: IntArray = gateway.astype(np.int64) * (int(cluster.max(initial=0)) + 1) + cluster
    _, index = np.unique(number, return_inverse=True)
    return index


def _scaled(weights: FloatArray) -> FloatArray:
    """Weights divided by the highest, so that they lie in [0, 1]."""
    highest = weights.max(initial=0.0)
    return weights / highest if highest > 0 else weights
