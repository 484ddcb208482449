"""Epoch rules: how many local epochs a satellite can be expected to bring back.

A rule maps a `NetworkState`, an association (S,) and frequencies (S,) in Hz to epochs (S,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

import satfl_env
from satfl_baselines.arrays import FloatArray, IntArray
from satfl_baselines.association import at_gateway

if TYPE_CHECKING:
    from satfl_env import NetworkState

EpochRule = Callable[["NetworkState", IntArray, FloatArray], IntArray]


def training_energy_j(state: NetworkState, association: IntArray) -> FloatArray:
    """Energy left for training at the chosen gateways, (S,): less the upload, alone on the links, where that counts."""
    return state.energy_j - state.transmit_power_w * at_gateway(state.link_s, association) / 2


def predicted_epochs(state: NetworkState, gateway: IntArray, cpu_frequency: FloatArray) -> IntArray:
    """Local epochs each satellite can expect to train, (S,); 0 for those that will not take part (SemSpaceFL, eq. 19).

    The link time is that of a satellite alone on its gateway's band, so crowded gateways may bring a little less.
    """
    epochs = satfl_env.affordable_epochs(
        at_gateway(state.window_s, gateway),
        at_gateway(state.link_s, gateway),
        state.samples,
        training_energy_j(state, gateway),
        cpu_frequency,
        cycles_per_sample=state.cycles_per_sample,
        kappa=state.kappa,
    )
    return np.minimum(epochs, state.max_epochs)


def one_epoch_each(state: NetworkState, gateway: IntArray, cpu_frequency: FloatArray) -> IntArray:
    """Every associated satellite is expected to return an update, as with late updates (`rounds.late`)."""
    return np.asarray(gateway != state.sits_out, dtype=np.int64)
