"""Rules for who gets a beam; all else that they decide is alike.

Each is a policy `NetworkState -> Decision`: in this folder `satfl compare --policies rules:IN_TURN` plays it, too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from satfl_baselines import make_policy
from satfl_baselines.association import in_order_of


def in_turn(state):
    """Round robin: the satellites take turns by their numbers, and a round begins where the last one's beams ended."""
    turn = (np.arange(state.num_satellites) - state.round * state.beams.sum()) % state.num_satellites
    return in_order_of(_at_any_gateway(-turn, state), state)


def by_window(state):
    """The contacts with the longest time to train."""
    return in_order_of(state.window_s, state)


def by_loss(state):
    """The satellites whose models were worst when they last trained."""
    return in_order_of(_at_any_gateway(state.last_loss, state), state)


def _at_any_gateway(priority, state):
    """A priority of satellites, (S,), as one of pairs, (S, G): each satellite then takes its longest window."""
    return np.broadcast_to(priority[:, None], state.visible.shape)


# By loss times window; clusters, frequencies and weights of all rules are those of `curriculum`.
NEEDIEST = make_policy("neediest")
IN_TURN, BY_WINDOW, BY_LOSS = (
    replace(NEEDIEST, name=rule.__name__, description=rule.__doc__, association=rule)
    for rule in (in_turn, by_window, by_loss)
)
