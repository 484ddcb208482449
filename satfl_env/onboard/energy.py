"""Energy for training: its interface, and energy drawn anew every round."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from satfl_env.settings import STRICT, Each, EachNonNegative, EachPositive

FloatArray = NDArray[np.float64]


class Energy(Protocol):
    """The energy supply of S satellites. Energies in J, times in s."""

    @property
    def highest_j(self) -> float:
        """Upper bound of `available_j`."""

    def first_charge_j(self, num_satellites: int) -> FloatArray:
        """Charge of the batteries at the start of an episode, (S,)."""

    def available_j(self, charge_j: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Energy that each satellite may spend in a round on training, and on transmission if that counts, (S,).

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


class EnergyBalance(NamedTuple):
    r"""Where the energy of a round came from and went, each (S,) and not negative.

    $$Q' = Q + E_\mathrm{harvested} - E_\mathrm{spent} - E_\mathrm{standing} - E_\mathrm{spilled}$$

    Attributes:
        charge_j: Charge Q' at the end of the round.
        harvested_j: Energy that came in.
        standing_j: Energy drawn by everything but training and transmission.
        spilled_j: Energy that came in and found no room.
    """

    charge_j: FloatArray
    harvested_j: FloatArray
    standing_j: FloatArray
    spilled_j: FloatArray


@runtime_checkable
class Supply(Protocol):
    """What an energy supply may say beyond `Energy`; see `as_supply` for those that do not."""

    @property
    def counts_transmission(self) -> bool:
        """Whether `available_j` has to pay for transmission, too, and not for training alone."""

    @property
    def standing_w(self) -> Each:
        """Power drawn all the time in W: one number, or (S,)."""

    def stored_j(self, charge_j: FloatArray) -> FloatArray:
        """Energy that is there before a satellite browns out, (S,); infinite where that cannot happen."""

    def balance(
        self, charge_j: FloatArray, *, spent_j: FloatArray, sunlit_s: FloatArray, duration_s: float
    ) -> EnergyBalance:
        """The balance of a round; arguments as for `Energy.charge_after_j`."""


class _FromCharge:
    """Says for a supply what it does not say itself: nothing browns out, and the charge tells what came and went."""

    standing_w = 0.0

    def __init__(self, energy: Energy) -> None:
        self._energy = energy
        self.counts_transmission = bool(getattr(energy, "counts_transmission", False))

    def stored_j(self, charge_j: FloatArray) -> FloatArray:
        return np.full(len(charge_j), np.inf)

    def balance(
        self, charge_j: FloatArray, *, spent_j: FloatArray, sunlit_s: FloatArray, duration_s: float
    ) -> EnergyBalance:
        after_j = self._energy.charge_after_j(charge_j, spent_j=spent_j, sunlit_s=sunlit_s, duration_s=duration_s)
        gained_j = np.asarray(after_j) - charge_j + spent_j
        return EnergyBalance(after_j, np.maximum(gained_j, 0.0), np.maximum(-gained_j, 0.0), np.zeros(len(charge_j)))


def as_supply(energy: Energy) -> Supply:
    """An energy part as a `Supply`.

    For a part that is none, nobody browns out. What its charge gains in a round beyond what is spent counts as
    harvested, what it loses as standing. An attribute `counts_transmission` of its own holds; without one, False.
    """
    return energy if isinstance(energy, Supply) else _FromCharge(energy)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EnergyDraws:
    r"""Energy drawn anew for each satellite and round (SemSpaceFL, section V-A).

    $$E_\mathrm{max} \sim \mathcal{N}(\mu, \sigma^2)$$

    Draws are clipped to 0 and to six standard deviations above the mean.

    Attributes:
        mean_j: Mean mu in J.
        std_j: Standard deviation sigma in J.
        counts_transmission: Whether a draw also has to pay for transmission; the paper's pays for training alone.

    Raises:
        ValueError: If a value is out of its range.
    """

    kind: Literal["draws"] = "draws"
    mean_j: EachPositive = 100.0
    std_j: EachNonNegative = 10.0
    counts_transmission: bool = False

    @property
    def highest_j(self) -> float:
        """Highest draw: six standard deviations above the mean, that of any satellite."""
        return float(np.max(self._most_j))

    def first_charge_j(self, num_satellites: int) -> FloatArray:
        """Nothing is stored: zeros, (S,)."""
        return np.zeros(num_satellites)

    def available_j(self, charge_j: FloatArray, rng: np.random.Generator) -> FloatArray:
        """The draws of a round, (S,)."""
        return rng.normal(self.mean_j, self.std_j, len(charge_j)).clip(0.0, self._most_j)

    def charge_after_j(
        self, charge_j: FloatArray, *, spent_j: FloatArray, sunlit_s: FloatArray, duration_s: float
    ) -> FloatArray:
        """Nothing is stored: the charge is unchanged, (S,)."""
        return charge_j

    @property
    def _most_j(self) -> Each:
        return self.mean_j + 6 * self.std_j
