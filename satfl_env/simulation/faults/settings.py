"""What may fail, and how often: the interface, and settings with constant rates."""

from __future__ import annotations

from typing import Annotated, Protocol

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env.settings import STRICT, Finite, NonNegative, Positive
from satfl_env.simulation.faults.outages import Outages, Renewals
from satfl_env.simulation.state import FloatArray

_DAY_S = 86_400.0


class FaultModel(Protocol):
    """What may fail. One object serves all episodes; all draws come from the generators that it is given.

    `Faults` is the one of scenarios, and the base class to start from.
    """

    def satellite_outages(self, num_satellites: int, span_s: float, rng: np.random.Generator) -> Outages:
        """When satellites are out of order in an episode of at most `span_s`."""

    def gateway_outages(self, num_gateways: int, span_s: float, rng: np.random.Generator) -> Outages:
        """When gateways are out of order in an episode of at most `span_s`."""

    def breaks_s(self, num_satellites: int, num_gateways: int, rng: np.random.Generator) -> FloatArray:
        """Seconds of transfer in a round after which the contact of each pair breaks off, (S, G).

        0 where there is no contact at all, infinite where it holds. A relay's contact is that of all whose models it
        carries.
        """

    def upset_probability(self, exposure_s: FloatArray) -> FloatArray:
        """Probability that a bit in memory is another one after a time, (S,), from times in s, (S,)."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Faults:
    r"""Faults at constant rates; each of them is off unless it is given.

    A transfer of length t holds with the probability $(1 - p) e^{-t / \mathrm{MTBF}}$, p being `contact_loss`. A bit is
    another one after a time t if an odd number of upsets of rate r has hit it:

    $$P = \tfrac{1}{2} (1 - e^{-2 r t})$$

    Attributes:
        satellites: How often satellites fail, and how long that lasts; null means never.
        gateways: The same of gateways.
        contact_loss: Probability that a pair finds no contact in a round although the satellite is in sight, in [0, 1].
        transfer_mtbf_s: Mean time of transfer in s, down and up together, after which a contact breaks off; null means
            that contacts hold.
        upsets_per_bit_day: Single-event upsets per bit and day in the memory that holds a model while it is fetched,
            trained and returned.
    """

    satellites: Renewals | None = None
    gateways: Renewals | None = None
    contact_loss: Annotated[Finite, Field(ge=0, le=1)] = 0.0
    transfer_mtbf_s: Positive | None = None
    upsets_per_bit_day: NonNegative = 0.0

    def check(self, span_s: float) -> None:
        """Check that outages are rare enough for an episode of at most `span_s`.

        Raises:
            ValueError: If they are not; the message names the field.
        """
        for field, renewals in (("satellites", self.satellites), ("gateways", self.gateways)):
            try:
                if renewals is not None:
                    renewals.check(span_s)
            except ValueError as error:
                raise ValueError(f"faults.{field}: {error}") from error

    def satellite_outages(self, num_satellites: int, span_s: float, rng: np.random.Generator) -> Outages:
        """As `satellites` has it."""
        self.check(span_s)
        return _outages(self.satellites, num_satellites, span_s, rng)

    def gateway_outages(self, num_gateways: int, span_s: float, rng: np.random.Generator) -> Outages:
        """As `gateways` has it."""
        self.check(span_s)
        return _outages(self.gateways, num_gateways, span_s, rng)

    def breaks_s(self, num_satellites: int, num_gateways: int, rng: np.random.Generator) -> FloatArray:
        """Exponential times, and 0 for contacts that are lost."""
        pairs = (num_satellites, num_gateways)
        lost = rng.random(pairs) < self.contact_loss
        lasts_s = np.inf if self.transfer_mtbf_s is None else self.transfer_mtbf_s * rng.standard_exponential(pairs)
        return np.where(lost, 0.0, lasts_s)

    def upset_probability(self, exposure_s: FloatArray) -> FloatArray:
        """The chance of an odd number of upsets."""
        return np.asarray(-np.expm1(-2 * self.upsets_per_bit_day / _DAY_S * exposure_s) / 2)


def _outages(renewals: Renewals | None, number: int, span_s: float, rng: np.random.Generator) -> Outages:
    return Outages.never(number) if renewals is None else renewals.outages(number, span_s, rng)
