"""A plan that makes the charge last for the contacts to come: association and frequency of the policy `ration`.

Every round it plans anew for all rounds that are left, and does the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from satfl_baselines.arrays import FloatArray, IntArray
from satfl_baselines.association import at_gateway, longest_window
from satfl_baselines.epochs import training_energy_j

if TYPE_CHECKING:
    from satfl_env import NetworkState

# Rounding must cost no epoch.
ROUNDING = 1 + 1e-9


def rationed_association(state: NetworkState) -> IntArray:
    """The visible gateway with the longest window, for those whose plan has an epoch now; others sit out."""
    return those_that_train(state, longest_window(state))


def those_that_train(state: NetworkState, association: IntArray) -> IntArray:
    """An association, (S,), without those whose plan has no epoch now; they sit out."""
    return np.where(rationed_epochs(state, association) > 0, association, state.sits_out)


def rationed_frequency(state: NetworkState, association: IntArray) -> FloatArray:
    """The lowest frequency at which the epochs of the plan end in time, (S,); 0 for those that sit out."""
    time_s = training_time_s(state, association)[:, 0]
    cycles = state.cycles_per_sample * state.samples * rationed_epochs(state, association)
    frequency = np.divide(cycles, time_s, out=np.zeros(state.num_satellites), where=time_s > 0)
    return np.minimum(frequency, state.cpu_max_hz)


def rationed_epochs(state: NetworkState, association: IntArray) -> IntArray:
    """Epochs to train now, (S,), where the charge has to last for the rest of the episode; see `most_epochs`.

    What comes in by then is not known and left out; later rounds plan with it once it is there.
    """
    cycles = state.cycles_per_sample * state.samples
    plan = most_epochs(
        training_time_s(state, association),
        training_energy_j(state, association),
        cycles,
        cpu_max_hz=state.cpu_max_hz,
        kappa=state.kappa,
        max_epochs=state.max_epochs,
    )
    return plan[:, 0]


def most_epochs(
    time_s: FloatArray,
    energy_j: FloatArray,
    cycles: FloatArray,
    *,
    cpu_max_hz: FloatArray,
    kappa: FloatArray,
    max_epochs: IntArray,
) -> IntArray:
    r"""Epochs of each round, so that a satellite trains the most in all rounds together that its charge allows.

    K epochs of C cycles within a time T cost the least at the frequency $f = C K / T$, which makes the time just long
    enough. By SemSpaceFL's eq. 6 their energy is then $\kappa C K f^2 = \kappa C^3 K^3 / T^2$, and the plan solves

    $$\max_{K_j \in \mathbb{N}} \sum_j K_j, \qquad \sum_j \kappa C^3 \frac{K_j^3}{T_j^2} \le E, \qquad
    K_j \le \min\left(K_\mathrm{max}, \frac{f_\mathrm{max} T_j}{C}\right)$$

    Each further epoch of a round costs more than the one before it, so taking the cheapest epoch of any round until the
    charge does not reach for another is exact. Between whole epochs the solution is one frequency for all rounds: the
    closed form of eq. 18 with the sum of their times, $f = \sqrt[3]{E / (\kappa \sum_j T_j)}$.

    Args:
        time_s: Time for training in each of N rounds, (S, N).
        energy_j: Energy for all of them, E, (S,).
        cycles: CPU cycles of an epoch, C, (S,).
        cpu_max_hz: Highest CPU frequency, (S,).
        kappa: Switched capacitance in J s^2 / cycle^3, (S,).
        max_epochs: Most epochs in a round, (S,).

    Returns:
        Epochs, (S, N). Of rounds that are equally cheap the first ones come first.
    """
    energy_j = np.maximum(energy_j, 0.0)
    cost_j = np.divide(
        (kappa * cycles**3)[:, None], time_s**2, out=np.full(time_s.shape, np.inf), where=time_s > 0
    )  # of the first epoch
    alone = np.cbrt(energy_j[:, None] / cost_j)
    fits = np.minimum(alone, (cpu_max_hz / cycles)[:, None] * time_s)
    limit = np.minimum(np.floor(fits * ROUNDING), max_epochs[:, None])
    count = np.arange(1, max(1, int(limit.max())) + 1)
    marginal_j = np.where(count <= limit[..., None], cost_j[..., None] * (count**3 - (count - 1) ** 3), np.inf)
    marginal_j = marginal_j.reshape(len(time_s), -1)
    order = np.argsort(marginal_j, axis=1, kind="stable")
    spent_j = np.take_along_axis(marginal_j, order, axis=1).cumsum(axis=1)
    trained = np.zeros(marginal_j.shape, dtype=np.int64)
    np.put_along_axis(trained, order, spent_j <= energy_j[:, None] * ROUNDING, axis=1)
    return np.asarray(trained.reshape(*time_s.shape, -1).sum(axis=2))


def training_time_s(state: NetworkState, association: IntArray) -> FloatArray:
    """Time for training in this round and in each of those that are left, (S, N).

    Now it is the window at the chosen gateway, later the longest that the forecast has at the start of the round, less
    the transfers of all satellites that share the gateway now. Rounds are taken to last as long as those until now have
    on average, the first one as long as its longest window. What lies beyond the forecast repeats what it has.
    """
    now_s = at_gateway(state.window_s, association)
    round_s = state.time_s / state.round if state.round else now_s.max()
    start_s: FloatArray = round_s * np.arange(max(1, state.rounds_left), dtype=np.float64)
    windows_s = _longest_windows_s(state, start_s)
    windows_s[:, 0] = now_s
    # Of each pair the forecast knows the next few contacts.
    known = np.maximum((start_s < state.contact_end_s[..., -1].min(axis=1)[:, None]).sum(axis=1), 1)
    repeated = np.arange(len(start_s)) % known[:, None]
    together = np.bincount(association, minlength=state.num_gateways + 1)[association]
    transfers_s = together * at_gateway(state.link_s, association)
    return np.maximum(np.take_along_axis(windows_s, repeated, axis=1) - transfers_s[:, None], 0.0)


def _longest_windows_s(state: NetworkState, start_s: FloatArray) -> FloatArray:
    """Each satellite's longest window at some moments, in s from now, as far as the forecast goes, (S, N)."""
    now_s = np.where(state.visible, state.window_s, 0.0)[..., None]
    begins_s = np.concatenate([np.zeros_like(now_s), state.contact_start_s], axis=2)[..., None]
    ends_s = np.concatenate([now_s, state.contact_end_s], axis=2)[..., None]
    left_s = np.where((begins_s <= start_s) & (start_s < ends_s), ends_s - start_s, 0.0)
    return np.asarray(left_s.max(axis=(1, 2)))
