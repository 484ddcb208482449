"""Energy for training: its interface, and energy drawn anew every round."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from satfl_env.settings import STRICT, NonNegative, Positive

FloatArray = NDArray[np.float64]


class Energy(Protocol):
    """The energy supply of S satellites. Energies in J, times in s."""

    @property
    def highest_j(self) -> float:
        """Upper bound of `available_j`."""

    def first_charge_j(self, num_satellites: int) -> FloatArray:
        """Charge of the batteries at the start of an episode, (S,)."""

    def available_j(self, charge_j: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Energy that each satellite may spend in a round, (S,).

        Args:
            charge_j: Charge at the start of the round, (S,).
            rng: Generator of this round.
        """

    def charge_after_j(
        self, charge_j: FloatArray, *, spent_j: FloatArray, sunlit_s: FloatArray, duration_s: float
    ) -> FloatArray:
        """Charge at the end of a round, (S,).

        Args:
            charge_j: Charge at its start, (S,).
            spent_j: Energy spent on training and transmission, (S,).
            sunlit_s: Time in sunlight, (S,).
            duration_s: Duration of the round.
        """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EnergyDraws:
    r"""Energy drawn anew for each satellite and round (SemSpaceFL, section V-A).

    $$E_\mathrm{max} \sim \mathcal{N}(\mu, \sigma^2)$$

    Draws are clipped to 0 and `highest_j`.

    Attributes:
        mean_j: Mean mu in J.
        std_j: Standard deviation sigma in J.

    Raises:
        ValueError: If a value is out of its range.
    """

    kind: Literal["draws"] = "draws"
    mean_j: Positive = 100.0
    std_j: NonNegative = 10.0

    @property
    def highest_j(self) -> float:
        """Highest draw: six standard deviations above the mean."""
        return self.mean_j + 6 * self.std_j

    def first_charge_j(self, num_satellites: int) -> FloatArray:
        """Nothing is stored: zeros, (S,)."""
        return np.zeros(num_satellites)

    def available_j(self, charge_j: FloatArray, rng: np.random.Generator) -> FloatArray:
        """The draws of a round, (S,)."""
        return np.clip(rng.normal(self.mean_j, self.std_j, len(charge_j)), 0.0, self.highest_j)

    def charge_after_j(
        self, charge_j: FloatArray, *, spent_j: FloatArray, sunlit_s: FloatArray, duration_s: float
    ) -> FloatArray:
        """Nothing is stored: the charge is unchanged, (S,)."""
        return charge_j
