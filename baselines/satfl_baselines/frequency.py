"""Frequency rules: how fast each satellite's CPU runs while it trains.

A rule maps a `NetworkState` and an association (S,) to frequencies (S,) in Hz, in 0..cpu_max_hz.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from satfl_baselines.arrays import FloatArray, IntArray
from satfl_baselines.association import at_gateway
from satfl_env import optimal_frequency_hz

if TYPE_CHECKING:
    from satfl_env import NetworkState

FrequencyRule = Callable[["NetworkState", IntArray], FloatArray]


def training_energy_j(state: NetworkState, association: IntArray) -> FloatArray:
    """Energy left for training at the chosen gateways, (S,): less the upload, alone on the links, where that counts."""
    return state.energy_j - state.transmit_power_w * at_gateway(state.link_s, association) / 2


def closed_form(state: NetworkState, association: IntArray) -> FloatArray:
    r"""The frequency at which time and energy allow the same number of epochs, $\min(f^*, f_\mathrm{max})$.

    SemSpaceFL, eq. 18; see `satfl_env.optimal_frequency_hz`. Uses the window and the link time of the chosen gateway,
    and the energy that the upload leaves where transmission counts; 0 for satellites that sit out and where no time or
    energy is left.
    """
    return optimal_frequency_hz(
        training_energy_j(state, association),
        at_gateway(state.window_s, association),
        at_gateway(state.link_s, association),
        cpu_max_hz=state.cpu_max_hz,
        kappa=state.kappa,
    )


def maximum(state: NetworkState, association: IntArray) -> FloatArray:
    """Every CPU at its highest frequency."""
    return state.cpu_max_hz.copy()


def random_frequency(state: NetworkState, association: IntArray, rng: np.random.Generator) -> FloatArray:
    """Frequencies drawn uniformly from (0, cpu_max_hz]."""
    return state.cpu_max_hz * (1.0 - rng.random(state.num_satellites))
