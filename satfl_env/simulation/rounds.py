"""The settings of rounds, and the sampling of participants."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass

from satfl_env.settings import STRICT, Count, Positive
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.state import NetworkState


@dataclass(frozen=True, config=STRICT)
class RoundSettings:
    """The settings of rounds: episode length, participants, cloud merges and duration.

    Attributes:
        episode: Rounds in an episode.
        cohort: Most satellites that take part in a round; None means all. If more are associated with a gateway in
            sight, this number is drawn at random and the others sit out.
        cloud_every: Number of rounds after which the cloud merges the gateways' models.
        minimum_s: Shortest duration of a round that ends when the last participant is back; unused with a cadence.
        cadence_s: Fixed duration of a round; None ends it when the last participant is back.
        broadcast: Models that a satellite fetches in a round: those of the clusters 0 to `broadcast` - 1. More than one
            lets a policy choose by `NetworkState.cluster_loss`.
        aggregate: Whether gateways and the cloud aggregate as scheduled, or as the action decides. What waits is kept
            until then: at most one update of each satellite and round of the episode.
    """

    episode: Count = 30
    cohort: Count | None = None
    cloud_every: Count = 1
    minimum_s: Positive = 60.0
    cadence_s: Positive | None = None
    broadcast: Count = 1
    aggregate: Literal["scheduled", "decided"] = "scheduled"

    @property
    def limit_s(self) -> float:
        """Time in which everyone must be done: the cadence, infinite without one."""
        return np.inf if self.cadence_s is None else self.cadence_s

    @property
    def decides(self) -> bool:
        """Whether the action says when gateways and the cloud aggregate."""
        return self.aggregate == "decided"

    def duration_s(self, busy_s: float) -> float:
        """Duration of a round in s, from the time until the last satellite's update is back."""
        return self.cadence_s or max(self.minimum_s, busy_s)

    def longest_s(self, horizon_s: float) -> float:
        """Duration of the longest possible episode in s, where no satellite is busy for longer than the horizon."""
        return self.episode * self.duration_s(horizon_s)

    def rounds_to_merge(self, round_index: int) -> int:
        """Rounds from the start of one, counted from 0, until the cloud merges at the end of one."""
        return self.cloud_every - round_index % self.cloud_every

    def merges(self, round_index: int) -> bool:
        """Whether the cloud merges at the end of a round, counted from 0."""
        return self.rounds_to_merge(round_index) == 1


def limit_cohort(decision: Decision, state: NetworkState, cohort: int, rng: np.random.Generator) -> Decision:
    """Let at most `cohort` satellites take part, drawn uniformly from those associated with a gateway in sight.

    Client sampling as in FedAvg (McMahan et al., AISTATS 2017); the others sit the round out.
    """
    candidates = np.flatnonzero(decision.associated & state.visible[decision.pairs])
    if len(candidates) <= cohort:
        return decision
    association = decision.association.copy()
    association[rng.permutation(candidates)[cohort:]] = state.sits_out
    return replace(decision, association=association)
