r"""The policy of FedSpace: when to aggregate is planned from the visits to come, staleness against idleness.

J. So et al., "FedSpace: An Efficient Federated Learning Framework at Satellites and Ground Stations", arXiv 2202.01267.

A satellite that returns to an unchanged model is idle: it has nothing new to bring. Aggregating often spares that, but
makes the updates stale that are on their way. The paper predicts what an aggregation is worth by a regression that is
trained beforehand on data of the ground, and searches schedules at random. Here its worth is a formula, and all
schedules of the next few rounds are compared.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from satfl_baselines.arrays import BoolArray, FloatArray
from satfl_baselines.association import nearest
from satfl_baselines.policies import make_policy
from satfl_baselines.ration import training_time_s
from satfl_env import Decision, NetworkState, When

# Rounds that are planned; there are 2 to that power schedules.
PLANNED_ROUNDS = 8
_FEDBUFF = make_policy("fedbuff")


def fedspace(state: NetworkState) -> Decision:
    """Decide as `fedbuff` does, and have all gateways and the cloud aggregate when the best schedule does so now."""
    visits = training_time_s(state, nearest(state))[:, :PLANNED_ROUNDS].T > 0
    schedules = np.array(list(product((True, False), repeat=len(visits))))
    worth = schedule_worth(schedules, visits, int(state.waiting.sum()))
    when = When.NOW if schedules[worth.argmax(), 0] else When.WAIT
    return replace(_FEDBUFF(state), aggregate=np.full(state.num_gateways + 1, when))


def schedule_worth(
    schedules: BoolArray, visits: BoolArray, waiting: int, *, staleness_power: float = 0.5, noise: float = 8.0
) -> FloatArray:
    r"""What aggregations are worth together: $\sum_i (1 + \tau_i)^{-a} / (n + c)$ for each, of n updates i, (C,).

    A step along the mean of n updates makes n / (n + c) of the progress of one without noise (McCandlish et al., "An
    Empirical Model of Large-Batch Training", arXiv 1812.06162), here less the staler they are. At first every satellite
    has an update of staleness 0 on board, since a state does not tell what it has fetched.

    Args:
        schedules: Whether models are aggregated at the end of each of N rounds, (C, N).
        visits: Which satellites are in contact in each round, (N, S).
        waiting: Updates that wait now.
        staleness_power: The power a of the discount.
        noise: The noise scale c: updates of a step that makes half of the largest progress, more than 0.
    """
    worth = np.zeros(len(schedules))
    number = np.full(len(schedules), float(waiting))
    discounted = number.copy()
    version = np.zeros((len(schedules), 1))
    fetched = np.zeros((len(schedules), visits.shape[1]))
    fresh = np.ones(fetched.shape, dtype=np.bool_)
    for aggregates, visiting in zip(schedules.T, visits, strict=True):
        brought = fresh & visiting
        number = number + brought.sum(axis=1)
        discounted = discounted + (brought * (1.0 + version - fetched) ** -staleness_power).sum(axis=1)
        worth += aggregates * discounted / (number + noise)
        version += (aggregates & (number > 0))[:, None]
        number, discounted = np.where(aggregates, 0.0, [number, discounted])
        fresh = np.where(visiting, version > fetched, fresh)
        fetched = np.where(visiting, version, fetched)
    return worth
