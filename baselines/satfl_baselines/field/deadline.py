"""The policy of FlexSync-FL: all gateways and the cloud aggregate when every satellite is back, or at a deadline.

"Flexible Synchronous Federated Learning Approach for LEO Satellite Constellation Networks", IEEE MeditCom 2024
(zenodo.org/records/13380023); after the abstract.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from satfl_baselines.policies import make_policy
from satfl_env import Decision, NetworkState, When

# Rounds from one deadline to the next.
DEADLINE_ROUNDS = 4
_FEDLEO = make_policy("fedleo")


def deadline(state: NetworkState) -> Decision:
    """Decide as `fedleo` does, and wait until there are as many updates as satellites, or the deadline has come."""
    decision = _FEDLEO(state)
    coming = int((decision.weights > 0).sum())
    everyone = int(state.waiting.sum()) + coming >= state.num_satellites
    due = (state.round + 1) % DEADLINE_ROUNDS == 0
    when = When.NOW if everyone or due else When.WAIT
    return replace(decision, aggregate=np.full(state.num_gateways + 1, when))
