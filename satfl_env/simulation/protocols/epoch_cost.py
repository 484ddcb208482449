"""What one local epoch costs each satellite."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from satfl_env.onboard import epoch_energy_j, epoch_time_s
from satfl_env.settings import Each
from satfl_env.simulation.state import FloatArray, NetworkState


class EpochCost(NamedTuple):
    """What one local epoch costs each satellite, (S,) each (SemSpaceFL, eq. 5-6).

    Attributes:
        time_s: Time that it takes; infinite at 0 Hz.
        energy_j: Energy that training takes.
        drawn_j: What is drawn from the energy stored: training, and standing power in the meantime.
    """

    time_s: FloatArray
    energy_j: FloatArray
    drawn_j: FloatArray

    @classmethod
    def at(cls, cpu_hz: FloatArray, state: NetworkState, standing_w: Each) -> EpochCost:
        """At a CPU frequency, (S,), with a power drawn all the while from what is stored, one number or (S,)."""
        time_s = epoch_time_s(state.samples, cpu_hz, cycles_per_sample=state.cycles_per_sample)
        energy_j = epoch_energy_j(state.samples, cpu_hz, cycles_per_sample=state.cycles_per_sample, kappa=state.kappa)
        # Epochs that never end have no energy, but no time either.
        with np.errstate(invalid="ignore"):
            return cls(time_s, energy_j, energy_j + standing_w * time_s)
