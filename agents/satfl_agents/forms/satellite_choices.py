"""What satellites choose for themselves, as changes of a simple rule: the same few choices for every satellite.

A satellite chooses its gateway, the pace of its computer, how similar those must be with whom it shares a model, and
how much its update counts. None of the choices depends on the numbers of satellites and gateways, so a network that has
the same heads for every satellite serves any constellation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satfl_baselines.aggregation import gateway_contribution
from satfl_baselines.arrays import FloatArray, IntArray
from satfl_baselines.clustering import similar_groups, threshold_between
from satfl_baselines.epochs import predicted_epochs
from satfl_baselines.frequency import closed_form
from satfl_env import Decision, NetworkState

THRESHOLDS = (0.0, 0.5, 0.8)
PACES = (-0.5, 0.0, 0.5, 1.0)
WEIGHTS = (0.0, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class PerSatellite:
    """What satellites choose, put together as a decision.

    Attributes:
        thresholds: Similarities to choose from, each as a position between the lowest similarity of any two satellites
            (0, which joins everyone) and the highest (1).
    """

    thresholds: tuple[float, ...] = THRESHOLDS

    def decision(
        self, state: NetworkState, gateway: IntArray, pace: FloatArray, level: IntArray, weight: FloatArray
    ) -> Decision:
        """The decision that the choices of all satellites stand for.

        Args:
            state: The state.
            gateway: Gateway in 0..G, (S,); a satellite that does not see its one sits out (G).
            pace: CPU frequency, (S,): 0 is the closed form, -1 stands still and 1 is the highest, linear between them.
            level: Index of the threshold, (S,). Satellites that choose the same one and are that similar, or are linked
                through others, share a model.
            weight: Weight of the update in multiples of its samples, (S,).
        """
        seen = np.concatenate([state.visible, np.ones((state.num_satellites, 1), dtype=np.bool_)], axis=1)
        gateway = np.where(seen[np.arange(state.num_satellites), gateway], gateway, state.sits_out)
        slow = closed_form(state, gateway)
        frequency = np.where(pace < 0, (1 + pace) * slow, slow + pace * (state.cpu_max_hz - slow))
        weights = np.where(predicted_epochs(state, gateway, frequency) > 0, weight * state.samples, 0.0)
        return Decision(
            association=gateway,
            cpu_frequency=np.clip(frequency, 0.0, state.cpu_max_hz),
            cluster=self._clusters(state, level),
            weights=weights,
            # Those who sit out count at none.
            gateway_weights=gateway_contribution(weights, gateway, state.num_gateways + 1)[:-1],
        )

    def choices(self, decision: Decision, state: NetworkState) -> tuple[IntArray, FloatArray, IntArray, FloatArray]:
        """The choices nearest to a decision, for imitation: gateway, pace, level and weight, each (S,).

        Of the thresholds it is the one whose groups fit best; weights have a mean of 1 where they are not 0.
        """
        slow, frequency = closed_form(state, decision.association), decision.cpu_frequency
        ends = np.where(frequency < slow, slow, state.cpu_max_hz - slow)
        pace = np.divide(frequency - slow, ends, out=np.zeros(state.num_satellites), where=ends > 0)
        mates, groups = decision.cluster[:, None] == decision.cluster, self._groups(state)
        level = ((groups[:, :, None] == groups[:, None]) == mates).sum(axis=2).argmax(axis=0)
        weight = decision.weights / np.maximum(state.samples, 1)
        counting = weight[weight > 0]
        return decision.association, pace, level, weight / counting.mean() if counting.size else weight

    def _clusters(self, state: NetworkState, level: IntArray) -> IntArray:
        """Labels (S,); a cluster is named after its lowest member, so that names last as long as clusters do."""
        satellites = np.arange(state.num_satellites)
        chosen = level * state.num_satellites + self._groups(state)[level, satellites]
        _, lowest, index = np.unique(chosen, return_index=True, return_inverse=True)
        return np.asarray(lowest[index.reshape(-1)], dtype=np.int64)

    def _groups(self, state: NetworkState) -> IntArray:
        """Groups of similar satellites at each threshold, (thresholds, S)."""
        similarity = state.similarity
        return np.stack([similar_groups(similarity, threshold_between(similarity, place)) for place in self.thresholds])


@dataclass(frozen=True)
class PerSatelliteChoices(PerSatellite):
    """Choices by their indices, `(numbers, NetworkState) -> Decision`.

    Numbers are the gateways of all satellites, then their paces, thresholds and weights, (4 S,).

    Attributes:
        paces: Paces to choose from.
        weights: Weights to choose from.
    """

    paces: tuple[float, ...] = PACES
    weights: tuple[float, ...] = WEIGHTS

    def __call__(self, values: NDArray[Any], state: NetworkState) -> Decision:
        """The decision."""
        gateway, pace, level, weight = np.reshape(values, (4, state.num_satellites))
        return self.decision(state, gateway, np.array(self.paces)[pace], level, np.array(self.weights)[weight])

    def reverse(self, decision: Decision, state: NetworkState) -> NDArray[Any]:
        """The numbers nearest to a decision, for imitation."""
        gateway, pace, level, weight = self.choices(decision, state)
        return np.concatenate([gateway, _nearest(self.paces, pace), level, _nearest(self.weights, weight)])


@dataclass(frozen=True)
class PerSatelliteNumbers(PerSatellite):
    """Choices by numbers in [-1, 1], `(numbers, NetworkState) -> Decision`.

    Zeros are the gateway with the longest window, the closed form, the threshold in the middle, and weights by samples.
    Numbers are preferences for the gateways and for sitting out, (S, G + 1), then the paces of all satellites, their
    thresholds and their weights. A preference is added, twice, to the window's share of the satellite's longest one.
    """

    def __call__(self, values: NDArray[Any], state: NetworkState) -> Decision:
        """The decision."""
        satellites, choices = state.num_satellites, state.num_gateways + 1
        preference, others = np.split(np.asarray(values, dtype=np.float64), [satellites * choices])
        pace, level, weight = others.reshape(3, satellites)
        window = np.where(state.visible, state.window_s, 0.0)
        share = window / np.maximum(window.max(axis=1, keepdims=True), 1e-9)
        score = np.concatenate([np.where(state.visible, share, -np.inf), np.zeros((satellites, 1))], axis=1)
        last = len(self.thresholds) - 1
        return self.decision(
            state,
            (score + 2 * preference.reshape(satellites, choices)).argmax(axis=1),
            pace,
            np.rint((level + 1) / 2 * last).astype(np.int64),
            1.0 + weight,
        )

    def reverse(self, decision: Decision, state: NetworkState) -> NDArray[Any]:
        """The numbers nearest to a decision, for imitation."""
        gateway, pace, level, weight = self.choices(decision, state)
        preference = np.where(gateway[:, None] == np.arange(state.num_gateways + 1), 1.0, -1.0)
        place = 2 * level / max(len(self.thresholds) - 1, 1) - 1
        numbers = np.concatenate([preference.ravel(), pace, place, weight - 1])
        return np.asarray(np.clip(numbers, -1, 1), dtype=np.float32)


def _nearest(levels: tuple[float, ...], values: FloatArray) -> IntArray:
    """Index of the level nearest to each value."""
    return np.asarray(np.abs(values[:, None] - np.array(levels)).argmin(axis=1))
