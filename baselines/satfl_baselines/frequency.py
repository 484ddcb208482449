"""Frequency rules: how fast each satellite's CPU runs while it trains.

A rule maps a `NetworkState` and an association (S,) to frequencies (S,) in Hz, in 0..cpu_max_hz.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from satfl_baselines.arrays import FloatArray, IntArray
from satfl_baselines.association import at_gateway
from satfl_baselines.epochs import predicted_epochs, training_energy_j
from satfl_env import optimal_frequency_hz

if TYPE_CHECKING:
    from satfl_env import NetworkState

FrequencyRule = Callable[["NetworkState", IntArray], FloatArray]


def closed_form(state: NetworkState, association: IntArray) -> FloatArray:
    r"""The frequency at which time and energy allow the same number of epochs, $\min(f^*, f_\mathrm{max})$.

    SemSpaceFL, eq. 18; see `satfl_env.optimal_frequency_hz`. Uses the window and the link time of the chosen gateway,
    and the energy that the upload leaves where transmission counts; 0 for satellites that sit out and where no time or
    energy is left.
    """
    return _closed_form(state, association, training_energy_j(state, association))


def thrifty(
    state: NetworkState, association: IntArray, *, share: float | FloatArray, speed: float, trim: float
) -> FloatArray:
    r"""A frequency that spends a share of the charge, is raised towards the highest, and leaves out what buys no epoch.

    $$f = f_s + v (f_\mathrm{max} - f_s), \qquad f' = f - u (f - f_K)$$

    $f_s$ is the `closed_form` of a share of the energy, a number or (S,), $v$ the speed and $u$ the trim, all in
    [0, 1]; $f_K$ is `just_in_time` for $f$. With share 1, speed 0 and trim 0 this is `closed_form`, with speed 1
    `maximum`.
    """
    slow = _closed_form(state, association, share * training_energy_j(state, association))
    fast = slow + speed * (state.cpu_max_hz - slow)
    return fast - trim * (fast - just_in_time(state, association, fast)) if trim else fast


def just_in_time(state: NetworkState, association: IntArray, cpu_frequency: FloatArray) -> FloatArray:
    r"""The lowest frequency at which the epochs K of a given one still end in time.

    $$f_K = \frac{c D K}{T - n t_\mathrm{link}}$$

    An epoch's energy grows with $f^2$, so what would stay idle at the end of the window is better spent on running
    slowly. All n satellites of a gateway share its band, so their transfers may take n times as long as alone. A
    frequency that brings no epoch, or leaves no time for so many transfers, stays.
    """
    epochs = predicted_epochs(state, association, cpu_frequency)
    together = np.bincount(association, minlength=state.num_gateways + 1)[association]
    left_s = at_gateway(state.window_s, association) - together * at_gateway(state.link_s, association)
    cycles = state.cycles_per_sample * state.samples * epochs
    slowest = np.divide(cycles, left_s, out=cpu_frequency.copy(), where=(left_s > 0) & (epochs > 0))
    return np.minimum(cpu_frequency, slowest)


def maximum(state: NetworkState, association: IntArray) -> FloatArray:
    """Every CPU at its highest frequency."""
    return state.cpu_max_hz.copy()


def random_frequency(state: NetworkState, association: IntArray, rng: np.random.Generator) -> FloatArray:
    """Frequencies drawn uniformly from (0, cpu_max_hz]."""
    return state.cpu_max_hz * (1.0 - rng.random(state.num_satellites))


def _closed_form(state: NetworkState, association: IntArray, energy_j: FloatArray) -> FloatArray:
    return optimal_frequency_hz(
        energy_j,
        at_gateway(state.window_s, association),
        at_gateway(state.link_s, association),
        cpu_max_hz=state.cpu_max_hz,
        kappa=state.kappa,
    )
