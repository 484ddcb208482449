"""Time and energy of local training (SemSpaceFL, eq. 5-6 and 18-19).

All arguments broadcast, over satellites as (S,) or over pairs as (S, G). Times in s, energies in J, frequencies in Hz.
`cycles_per_sample` (positive) counts CPU cycles to train one sample once; `kappa` (positive) is the chip's switched
capacitance in J s^2 / cycle^3.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from satfl_env.settings import STRICT, EachPositive

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Number = FloatArray | float

# At the best frequency both bounds on the epochs are equal; rounding must not cost an epoch there.
ROUNDING = 1 + 1e-9
# More are as many as these: beyond them a float has no place for one epoch more, and soon an integer none at all.
MOST_EPOCHS = np.array(2.0**53)


# What a computer states.
COMPUTER_VALUES = ("cpu_max_hz", "cycles_per_sample", "kappa")


class Computer(Protocol):
    """The on-board computers of S satellites; each value is a number for all or an array (S,)."""

    @property
    def cpu_max_hz(self) -> Number:
        """Highest CPU frequency."""

    @property
    def cycles_per_sample(self) -> Number:
        """CPU cycles to train one sample once."""

    @property
    def kappa(self) -> Number:
        """Switched capacitance in J s^2 / cycle^3."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OnboardComputer:
    """The on-board computer of every satellite (SemSpaceFL, eq. 5-6).

    Attributes:
        cpu_max_hz: Highest CPU frequency in Hz.
        cycles_per_sample: CPU cycles to train one sample once.
        kappa: Switched capacitance in J s^2 / cycle^3; see `epoch_energy_j`.

    Raises:
        ValueError: If a value is out of its range.
    """

    cpu_max_hz: EachPositive = 1e9
    cycles_per_sample: EachPositive = 1e8
    kappa: EachPositive = 5e-27


def epoch_time_s(samples: IntArray, cpu_hz: FloatArray, *, cycles_per_sample: Number) -> FloatArray:
    r"""Time of one local epoch, $t = c D / f$ (SemSpaceFL, eq. 5); infinite where the frequency is 0."""
    cycles = cycles_per_sample * samples
    forever = np.full(np.broadcast(cycles, cpu_hz).shape, np.inf)
    # Overflow to infinity is the right limit as the frequency goes to 0.
    with np.errstate(over="ignore"):
        return np.asarray(np.divide(cycles, cpu_hz, out=forever, where=np.asarray(cpu_hz) > 0))


def epoch_energy_j(samples: IntArray, cpu_hz: FloatArray, *, cycles_per_sample: Number, kappa: Number) -> FloatArray:
    r"""Energy of one local epoch, $E = \kappa c D f^2$ (SemSpaceFL, eq. 6)."""
    return np.asarray(kappa * cycles_per_sample * samples * cpu_hz**2)


def optimal_frequency_hz(
    energy_j: FloatArray, window_s: FloatArray, link_s: FloatArray, *, cpu_max_hz: Number, kappa: Number
) -> FloatArray:
    r"""CPU frequency at which the most epochs fit (SemSpaceFL, eq. 18).

    $$f = \min(f^*, f_\mathrm{max}), \qquad f^* = \sqrt[3]{\frac{E}{\kappa (T - t_\mathrm{link})}}$$

    The number of epochs that time allows grows with $f$, the number that energy allows falls with $1 / f^2$. The two
    are equal at $f^*$, whatever the number of samples.

    Args:
        energy_j: Energy budget E.
        window_s: Remaining window T, finite.
        link_s: Time of both model transfers, t_link; may be infinite.
        cpu_max_hz: Highest CPU frequency.
        kappa: Switched capacitance.

    Returns:
        Frequencies in [0, cpu_max_hz]; 0 where no time or no energy is left.
    """
    energy, time_left = np.broadcast_arrays(energy_j, window_s - link_s)
    cube = np.divide(energy, kappa * time_left, out=np.zeros(energy.shape), where=(time_left > 0) & (energy > 0))
    return np.asarray(np.minimum(np.cbrt(cube), cpu_max_hz))


def affordable_epochs(
    window_s: FloatArray,
    link_s: FloatArray,
    samples: IntArray,
    energy_j: Number,
    cpu_hz: FloatArray,
    *,
    cycles_per_sample: Number,
    kappa: Number,
) -> IntArray:
    r"""Local epochs that fit both the contact window and the energy budget (SemSpaceFL, eq. 18-19).

    $$K = \left\lfloor \min\left(\frac{(T - t_\mathrm{link}) f}{c D}, \frac{E}{\kappa c D f^2}\right) \right\rfloor$$

    Args:
        window_s: Remaining window T, finite.
        link_s: Time of both model transfers, t_link; may be infinite.
        samples: Training samples on board, D.
        energy_j: Energy budget E; infinite where only the window counts.
        cpu_hz: CPU frequency f.
        cycles_per_sample: CPU cycles to train one sample once, c.
        kappa: Switched capacitance.

    Returns:
        Epochs, not negative; 0 where nothing fits, there are no samples or the frequency is 0.
    """
    epoch_s = epoch_time_s(samples, cpu_hz, cycles_per_sample=cycles_per_sample)
    epoch_j = epoch_energy_j(samples, cpu_hz, cycles_per_sample=cycles_per_sample, kappa=kappa)
    return np.asarray(np.minimum(whole_epochs(window_s - link_s, epoch_s), whole_epochs(energy_j, epoch_j)))


def whole_epochs(there_is: Number, taken: FloatArray) -> IntArray:
    """Local epochs that fit a budget, not negative, from what there is of it, and what an epoch takes.

    An epoch that takes nothing of a budget is none: there are no samples, or the frequency is 0. The arrays broadcast.
    """
    # Infinitely many epochs is the right limit as what they take goes to 0.
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        fit = np.where(taken > 0, there_is / taken, 0.0)
    return np.asarray(np.floor(np.maximum(np.minimum(fit, MOST_EPOCHS), 0.0) * ROUNDING), dtype=np.int64)
