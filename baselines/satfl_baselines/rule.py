"""A scheduling rule that is twelve numbers: what learners set, and what is tuned.

The papers' policies and the reference policies `fine`, `curriculum` and `thrifty` are cases of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, partial
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from satfl_baselines import aggregation, association, clustering, frequency
from satfl_baselines.arrays import FloatArray
from satfl_baselines.policy import Policy
from satfl_env.arguments import as_number

# A number, and no text or truth value that could stand for one.
Number = Annotated[float, Field(strict=True)]
# Ranges of numbers.
_UNIT, _POWER, _SHARE = ({"range": bounds} for bounds in ((0.0, 1.0), (0.0, 2.0), (0.01, 1.0)))


@dataclass(frozen=True, kw_only=True)
class RuleNumbers:
    """The numbers of a rule; the defaults are those of the policy `full`.

    Raises `ValueError` if one is out of its range, or no number.

    Attributes:
        early_threshold: Similarity at which satellites share a model in the first rounds, as a position between the
            lowest similarity of any two (0, which joins everyone) and the highest (1); 0.5 is the papers' midpoint.
        late_threshold: The same for later rounds.
        switch: Share of the episode's rounds after which the later threshold holds, in 0..1. Between 0 and 1 the rule
            reads `rounds_left`, which an observation shows with `observation.add`, if the thresholds differ.
        samples_power: An update weighs as its samples to this power, in 0..2.
        epochs_power: An update weighs as its epochs to this power, in 0..2.
        credit_power: An update weighs as its loss credit to this power, in 0..2; see `aggregation.loss_credit`.
        gateway_mean: Whether a gateway counts at the cloud as the sum (0) or the mean (1) of its updates' weights.
        nearness: Whether a satellite prefers the gateway with the longest window (0) or the nearest one (1).
        load: How much it avoids gateways that others have chosen, in 0..2; at 1 they divide the window.
        speed: Where the frequency lies between the closed form (0) and the highest one (1).
        charge_share: Share of the energy available for which the closed form is taken, in 0.01..1.
        trim: How much of the frequency that buys no further epoch is left out: nothing (0) to all (1).
    """

    early_threshold: Number = field(default=0.5, metadata=_UNIT)
    late_threshold: Number = field(default=0.5, metadata=_UNIT)
    switch: Number = field(default=0.0, metadata=_UNIT)
    samples_power: Number = field(default=1.0, metadata=_POWER)
    epochs_power: Number = field(default=1.0, metadata=_POWER)
    credit_power: Number = field(default=1.0, metadata=_POWER)
    gateway_mean: Number = field(default=0.0, metadata=_UNIT)
    nearness: Number = field(default=0.0, metadata=_UNIT)
    load: Number = field(default=0.0, metadata=_POWER)
    speed: Number = field(default=0.0, metadata=_UNIT)
    charge_share: Number = field(default=1.0, metadata=_SHARE)
    trim: Number = field(default=0.0, metadata=_UNIT)

    def __post_init__(self) -> None:
        for number in fields(self):
            given, (low, high) = getattr(self, number.name), number.metadata["range"]
            if not low <= (value := as_number(given)) <= high:
                raise ValueError(f"{number.name} must lie in [{low:g}, {high:g}], got {given!r}")
            object.__setattr__(self, number.name, value)

    @classmethod
    def from_vector(cls, vector: ArrayLike) -> RuleNumbers:
        """The numbers at a point of the unit cube: each one's place in its range, in the order of `names()`.

        Args:
            vector: Numbers in [0, 1], (12,); those outside count as the nearest one inside.

        Raises:
            ValueError: If there are not as many, or one is not a number.
        """
        given = np.asarray(vector)
        low, high = _ranges()
        # Text that spells a number, truth values and complex numbers are none.
        if given.shape != low.shape or given.dtype.kind not in "iuf" or np.isnan(given).any():
            raise ValueError(f"a rule is {len(low)} numbers in [0, 1], got {given.tolist()!r}")
        place = np.clip(given.astype(np.float64), 0.0, 1.0)
        return cls(**dict(zip(names(), ((1 - place) * low + place * high).tolist(), strict=True)))

    def to_vector(self) -> FloatArray:
        """Each number's place in its range, in [0, 1], (12,); see `from_vector`."""
        low, high = _ranges()
        return (np.array(list(asdict(self).values())) - low) / (high - low)


def names() -> tuple[str, ...]:
    """Names of the numbers, in the order of a vector."""
    return tuple(number.name for number in fields(RuleNumbers))


@cache
def _ranges() -> tuple[FloatArray, FloatArray]:
    """The lowest and the highest value of each number, each (12,)."""
    low, high = np.array([number.metadata["range"] for number in fields(RuleNumbers)]).T
    return low, high


_FINE = RuleNumbers(early_threshold=0.8, late_threshold=0.8, epochs_power=0.0, credit_power=0.0)
_CURRICULUM = replace(_FINE, early_threshold=0.5, switch=0.4)
# Rules by the names of their policies.
RULES = {
    "full": RuleNumbers(),
    "fine": _FINE,
    "curriculum": _CURRICULUM,
    "thrifty": replace(_CURRICULUM, charge_share=0.25, trim=1.0),
}


def rule_policy(numbers: RuleNumbers, name: str = "rule", description: str = "a rule of twelve numbers") -> Policy:
    """The policy of some numbers.

    Args:
        numbers: The numbers.
        name: What the policy is called.
        description: One-line description.
    """
    return Policy(
        name,
        description,
        partial(association.balanced, nearness=numbers.nearness, load=numbers.load),
        partial(frequency.thrifty, share=numbers.charge_share, speed=numbers.speed, trim=numbers.trim),
        partial(
            clustering.in_two_stages,
            early=numbers.early_threshold,
            late=numbers.late_threshold,
            switch=numbers.switch,
        ),
        partial(
            aggregation.powers,
            samples_power=numbers.samples_power,
            epochs_power=numbers.epochs_power,
            credit_power=numbers.credit_power,
        ),
        gateways=partial(aggregation.gateway_between, mean_power=numbers.gateway_mean),
    )
