"""A battery whose charge carries over from round to round, filled by the Sun."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from pydantic.dataclasses import dataclass

from satfl_env.onboard.energy import EnergyBalance
from satfl_env.settings import STRICT, EachNonNegative, EachPositive, EachShare, Positive, Share

FloatArray = NDArray[np.float64]

SOLAR_IRRADIANCE_WPM2 = 1361.0
"""Total solar irradiance at one astronomical unit (Kopp & Lean 2011)."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Panels:
    """Solar panels turned to the Sun.

    Attributes:
        area_m2: Area in m^2.
        efficiency: Fraction of the sunlight's power that reaches the battery, in (0, 1].
    """

    area_m2: Positive
    efficiency: Share = 0.3

    @property
    def power_w(self) -> float:
        """Electrical power in sunlight in W: irradiance times area and efficiency."""
        return SOLAR_IRRADIANCE_WPM2 * self.area_m2 * self.efficiency


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Battery:
    r"""A battery whose charge Q carries over: drained by training, transmission and `standing_w`, filled in sunlight.

    $$Q' = \min(C, Q + P_\mathrm{harvest} t_\mathrm{sunlit} - E_\mathrm{spent} - E_\mathrm{standing}), \qquad
    E_\mathrm{standing} = \min(P_\mathrm{standing} t, Q + P_\mathrm{harvest} t_\mathrm{sunlit} - E_\mathrm{spent})$$

    $$E_\mathrm{available} = \max(0, Q - (1 - \mathrm{DoD}) C)$$

    On the globe the harvest stops in the Earth's shadow; in the planar scene there is no night.

    An empty battery gives nothing: standing power then takes no more than what comes in. A satellite works on what is
    stored when a round begins. It browns out, and neither trains nor sends, if that does not exceed the energy of its
    transfers and the standing power during them; it trains no more epochs than the rest can carry with standing power.

    Attributes:
        capacity_j: Capacity C in J.
        initial_j: Charge at the start of an episode in J, at most the capacity.
        depth_of_discharge: Fraction DoD of the capacity that training may use, in (0, 1].
        harvest_w: Power in sunlight in W.
        panels: Solar panels, as an alternative to `harvest_w`.
        standing_w: Power drawn all the time in W.
        counts_transmission: Whether the available energy has to pay for transmission, too, or for training alone.

    Raises:
        ValueError: If a value is out of its range, or both `harvest_w` and `panels` are given.
    """

    kind: Literal["battery"] = "battery"
    capacity_j: EachPositive
    initial_j: EachNonNegative
    depth_of_discharge: EachShare = 1.0
    harvest_w: EachNonNegative = 0.0
    panels: Panels | None = None
    standing_w: EachNonNegative = 0.0
    counts_transmission: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> Battery:
        if self.initial_j > self.capacity_j:
            raise ValueError(f"initial_j must be at most capacity_j = {self.capacity_j}, got {self.initial_j}")
        if self.panels is not None and self.harvest_w:
            raise ValueError(f"give harvest_w or panels, not both; got harvest_w {self.harvest_w}")
        return self

    @property
    def highest_j(self) -> float:
        """The capacity, the largest one of a fleet."""
        return float(np.max(self.capacity_j))

    def first_charge_j(self, num_satellites: int) -> FloatArray:
        """`initial_j`, or the capacity where a fleet's is smaller, (S,)."""
        return np.asarray(np.minimum(np.full(num_satellites, self.initial_j), self.capacity_j))

    def available_j(self, charge_j: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Charge above the floor (1 - depth of discharge) * capacity, 0 below it; (S,)."""
        return np.maximum(charge_j - (1 - self.depth_of_discharge) * self.capacity_j, 0.0)

    def charge_after_j(
        self, charge_j: FloatArray, *, spent_j: FloatArray, sunlit_s: FloatArray, duration_s: float
    ) -> FloatArray:
        """The charge minus the energy spent plus the harvest, within [0, capacity]; (S,)."""
        return self.balance(charge_j, spent_j=spent_j, sunlit_s=sunlit_s, duration_s=duration_s).charge_j

    def stored_j(self, charge_j: FloatArray) -> FloatArray:
        """The charge, (S,): training may use only a part of it, standing power and transfers all."""
        return charge_j

    def balance(
        self, charge_j: FloatArray, *, spent_j: FloatArray, sunlit_s: FloatArray, duration_s: float
    ) -> EnergyBalance:
        """Harvest, standing power and what found no room; `spent_j` must not exceed the charge."""
        sunny_w = self.harvest_w if self.panels is None else self.panels.power_w
        harvested_j = sunny_w * sunlit_s
        standing_j = (charge_j - spent_j + harvested_j).clip(0.0, self.standing_w * duration_s)
        charge_j = charge_j - (spent_j + standing_j) + harvested_j
        return EnergyBalance(
            charge_j=charge_j.clip(0.0, self.capacity_j),
            harvested_j=harvested_j,
            standing_j=standing_j,
            spilled_j=np.maximum(charge_j - self.capacity_j, 0.0),
        )
