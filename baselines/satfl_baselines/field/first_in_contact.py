"""The policies of FedAvgSat, FedProxSat and FedBuffSat: the first satellites in contact make one global step.

G. R. Kim, F. Svoboda, N. D. Lane, "Bringing Federated Learning to Space", IEEE Aerospace Conference 2026 (arXiv
2511.14889), and arXiv 2411.00263; after their abstracts and a summary. All gateways are one server: they and the cloud
aggregate together.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from satfl_baselines.association import at_gateway
from satfl_baselines.policies import make_policy
from satfl_baselines.policy import Policy
from satfl_env import Decision, NetworkState, When

# Updates of one global step: the papers' C.
CLIENTS = 10


def one_buffer(state: NetworkState, policy: Policy) -> Decision:
    """A policy's decision, and all gateways aggregate once there are as many updates as a global step has."""
    return _when_full(policy(state), state)


def first_in_contact(state: NetworkState, policy: Policy) -> Decision:
    """A policy's decision, with as many satellites as the global step still lacks; see `one_buffer`.

    Those of the shortest windows come first: passes are about as long as each other, so that they began first.
    """
    decision = policy(state)
    window_s = np.where(decision.weights > 0, at_gateway(state.window_s, decision.association), np.inf)
    first = np.argsort(window_s, kind="stable")[: max(0, CLIENTS - int(state.waiting.sum()))]
    chosen = np.isin(np.arange(state.num_satellites), first) & np.isfinite(window_s)
    decision = replace(
        decision,
        association=np.where(chosen, decision.association, state.sits_out),
        weights=np.where(chosen, decision.weights, 0.0),
    )
    return _when_full(decision, state)


def _when_full(decision: Decision, state: NetworkState) -> Decision:
    full = int(state.waiting.sum()) + np.count_nonzero(decision.weights) >= CLIENTS
    return replace(decision, aggregate=np.full(state.num_gateways + 1, When.NOW if full else When.WAIT))


fedavgsat = partial(first_in_contact, policy=make_policy("nearest-fedavg"))
fedproxsat = partial(first_in_contact, policy=make_policy("fedsat"))
fedbuffsat = partial(one_buffer, policy=make_policy("fedbuff"))
