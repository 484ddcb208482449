"""Association rules: which gateway each satellite trains for (SemSpaceFL, eq. 4).

A rule maps a `NetworkState` to gateways (S,) in 0..G. Only visible gateways are chosen; a satellite that sees none sits
the round out (G).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from satfl_baselines.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from satfl_env import NetworkState

AssociationRule = Callable[["NetworkState"], IntArray]


def longest_window(state: NetworkState) -> IntArray:
    """The visible gateway with the longest remaining window (SemSpaceFL's proposed rule, section IV-A)."""
    return _best_visible(state, state.window_s)


def nearest(state: NetworkState) -> IntArray:
    """The closest visible gateway by slant range (SemSpaceFL's benchmark)."""
    return _best_visible(state, -state.distance_m)


def single_gateway(state: NetworkState) -> IntArray:
    """Gateway 0 for satellites that see it; others sit out (SemSpaceFL's benchmark with one gateway deployed)."""
    return np.where(state.visible[:, 0], 0, state.sits_out)


def random_association(state: NetworkState, rng: np.random.Generator) -> IntArray:
    """A visible gateway drawn uniformly."""
    return _best_visible(state, rng.random(state.distance_m.shape))


def balanced(state: NetworkState, *, nearness: float, load: float) -> IntArray:
    r"""The visible gateway with the highest score: a long window, a short distance, few satellites that are there.

    $$q_{s,g} = T_{s,g}^{1 - \nu} \, d_{s,g}^{-\nu} \, (1 + n_g)^{-\lambda}$$

    Satellites choose one after the other, those that see few gateways first; $n_g$ have chosen the gateway before.
    Without load ($\lambda = 0$) this is `longest_window` for nearness $\nu = 0$ and `nearest` for 1; with $\lambda = 1$
    windows are divided among those who share a gateway.
    """
    score = state.window_s ** (1 - nearness) * state.distance_m**-nearness
    if load == 0:
        return _best_visible(state, score)
    association = np.full(state.num_satellites, state.sits_out)
    members = np.zeros(state.num_gateways)
    choices = state.visible.sum(axis=1)
    for satellite in np.argsort(choices, kind="stable")[np.count_nonzero(choices == 0) :]:
        shared = score[satellite] * (1 + members) ** -load
        association[satellite] = np.where(state.visible[satellite], shared, -np.inf).argmax()
        members[association[satellite]] += 1
    return association


def neediest(state: NetworkState) -> IntArray:
    r"""Beams for the satellites whose models are worst and that have the longest time to train.

    $$q_{s,g} = \ell_s \, T_{s,g}$$

    $\ell_s$ is the loss in the satellite's last epoch, which stays high where it was not served for long, and $T_{s,g}$
    its window. See `in_order_of`.
    """
    return in_order_of(state.last_loss[:, None] * state.window_s, state)


def in_order_of(priority: FloatArray, state: NetworkState) -> IntArray:
    """Each gateway's beams for the pairs of the highest priority, one gateway for each satellite.

    Visible pairs have their turn in order of priority, of equal ones the longer window and then the lower satellite
    first. A satellite for which no beam is left in sight sits out. Each satellite takes a beam of its own: a state does
    not tell whose updates will be combined on board and need one together.

    Args:
        priority: Of every pair, (S, G).
        state: The state.
    """
    satellites, gateways = np.nonzero(state.visible)
    order = np.lexsort((-state.window_s[satellites, gateways], -priority[satellites, gateways]))
    association, free = np.full(state.num_satellites, state.sits_out), state.beams.copy()
    for satellite, gateway in zip(satellites[order].tolist(), gateways[order].tolist(), strict=True):
        if association[satellite] == state.sits_out and free[gateway] > 0:
            association[satellite] = gateway
            free[gateway] -= 1
    return association


def at_gateway(values: FloatArray, association: IntArray) -> FloatArray:
    """Each satellite's entry of pairwise values (S, G) for its own gateway, (S,); 0 for those sitting out."""
    num_satellites, num_gateways = values.shape
    associated = association < num_gateways
    return np.where(associated, values[np.arange(num_satellites), np.where(associated, association, 0)], 0.0)


def _best_visible(state: NetworkState, score: FloatArray) -> IntArray:
    """The visible gateway with the highest score (S, G); the lowest index wins ties."""
    best = np.where(state.visible, score, -np.inf).argmax(axis=1)
    return np.where(state.visible.any(axis=1), best, state.sits_out)
