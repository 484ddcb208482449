"""The policy of FedSatSchedule: who can train within its next visit waits for it, and for the model of then.

N. Razmi, B. Matthiesen, A. Dekorsy, P. Popovski, "Scheduling for Ground-Assisted Federated Learning in LEO Satellite
Constellations", EUSIPCO 2022 (arXiv 2206.01952), section III-B. FedSat's satellites fetch a model at the end of a visit
and train it until the next one, by when it is stale. Here the next visit is foreseen: if it is long enough to fetch,
train and return, the satellite does all that there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from satfl_baselines.arrays import BoolArray
from satfl_baselines.policies import make_policy
from satfl_baselines.ration import training_time_s
from satfl_env import Decision, NetworkState

_FEDSAT = make_policy("fedsat")


def fedsatschedule(state: NetworkState) -> Decision:
    """Decide as `fedsat` does, at 0 Hz where a visit ends and the next one is long enough.

    A model that is fetched at 0 Hz is never trained: the satellite fetches a new one when it is back.
    """
    decision = _FEDSAT(state)
    visits = training_time_s(state, decision.association) > 0
    waits = (decision.association != state.sits_out) & next_is_long_enough(visits) & _trains_in_a_round(state)
    return replace(decision, cpu_frequency=np.where(waits, 0.0, decision.cpu_frequency))


def next_is_long_enough(visits: BoolArray) -> BoolArray:
    """Whether each satellite's visit ends with this round, and the next has a round to fetch and one to return, (S,).

    Args:
        visits: Whether it is in contact in this round and in each of those to come, (S, N).
    """
    num_satellites, num_rounds = visits.shape
    if num_rounds < 3:
        return np.zeros(num_satellites, dtype=np.bool_)
    starts = visits[:, 1:].argmax(axis=1) + 1
    returns = visits[np.arange(num_satellites), np.minimum(starts + 1, num_rounds - 1)]
    return np.asarray((starts > 1) & (starts + 1 < num_rounds) & returns)


def _trains_in_a_round(state: NetworkState) -> BoolArray:
    """Whether an epoch fits a round as long as those until now on average, (S,)."""
    round_s = state.time_s / state.round if state.round else np.inf
    return np.asarray(state.cycles_per_sample * state.samples <= state.cpu_max_hz * round_s)
