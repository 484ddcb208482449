"""Values of which each satellite may have its own: the same for all, listed, or drawn from a distribution.

Written as a number, a list of one number per satellite, or a mapping with a `kind`: `{kind: uniform, low: 1, high: 3}`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from satfl_env.settings import STRICT, Decibel, Finite, NonNegative, Positive, Share
from satfl_env.simulation.state import FloatArray


class Quantity(ABC):
    """How a value is spread over satellites."""

    @property
    @abstractmethod
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value that there can be."""

    @abstractmethod
    def values(self, count: int, rng: np.random.Generator) -> FloatArray:
        """The values of `count` satellites, (count,).

        Raises:
            ValueError: If there are values for another number of satellites.
        """


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Same(Quantity):
    """The same value for all."""

    kind: Literal["same"] = "same"
    value: Finite

    @property
    def ends(self) -> tuple[float, float]:
        """The value, twice."""
        return self.value, self.value

    def values(self, count: int, rng: np.random.Generator) -> FloatArray:
        """The value for each, (count,)."""
        return np.full(count, self.value)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Listed(Quantity):
    """One value for each satellite, in the order of their numbers."""

    kind: Literal["listed"] = "listed"
    each: Annotated[tuple[Finite, ...], Field(min_length=1)]

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest of them."""
        return min(self.each), max(self.each)

    def values(self, count: int, rng: np.random.Generator) -> FloatArray:
        """The values as they are, (count,)."""
        if len(self.each) != count:
            raise ValueError(f"must list one value for each of {count} satellites, got {len(self.each)}")
        return np.array(self.each)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Bounded(Quantity, ABC):
    """Draws between `low` and `high`."""

    low: Finite
    high: Finite

    @property
    def ends(self) -> tuple[float, float]:
        """Both bounds."""
        return self.low, self.high

    @model_validator(mode="after")
    def _in_order(self) -> _Bounded:
        if self.low > self.high:
            raise ValueError(f"high must be at least low = {self.low:g}, got {self.high:g}")
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Uniform(_Bounded):
    """Drawn uniformly from `low` to `high`."""

    kind: Literal["uniform"] = "uniform"

    def values(self, count: int, rng: np.random.Generator) -> FloatArray:
        """The draws, (count,)."""
        return rng.uniform(self.low, self.high, count)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LogUniform(_Bounded):
    """The logarithm is drawn uniformly from that of `low`, which is positive, to that of `high`."""

    kind: Literal["log-uniform"] = "log-uniform"
    low: Positive

    def values(self, count: int, rng: np.random.Generator) -> FloatArray:
        """The draws, (count,)."""
        draws = np.exp(rng.uniform(np.log(self.low), np.log(self.high), count))
        return np.clip(draws, self.low, self.high)  # the exponential of a logarithm is rounded


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Normal(_Bounded):
    """Drawn from a normal distribution; what lies outside `low` to `high` is set to the nearer of the two."""

    kind: Literal["normal"] = "normal"
    mean: Finite
    std: NonNegative

    def values(self, count: int, rng: np.random.Generator) -> FloatArray:
        """The draws, (count,)."""
        return np.clip(rng.normal(self.mean, self.std, count), self.low, self.high)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Choice(Quantity):
    """One of a few values for each, drawn with probabilities in the proportion of `weights`, or all alike."""

    kind: Literal["choice"] = "choice"
    of: Annotated[tuple[Finite, ...], Field(min_length=1)]
    weights: tuple[NonNegative, ...] | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest of them."""
        return min(self.of), max(self.of)

    def values(self, count: int, rng: np.random.Generator) -> FloatArray:
        """The draws, (count,)."""
        shares = None if self.weights is None else np.array(self.weights) / sum(self.weights)
        return rng.choice(np.array(self.of), count, p=shares)

    @model_validator(mode="after")
    def _weighted(self) -> Choice:
        weights = self.weights
        if weights is not None and (len(weights) != len(self.of) or not sum(weights)):
            raise ValueError(f"weights must be {len(self.of)}, one for each of `of`, not all zero, got {list(weights)}")
        return self


def _spelled_out(value: Any) -> Any:
    """A number or a list as a mapping with a kind; anything else unchanged."""
    if value is None or isinstance(value, Mapping | Quantity):
        return value
    if isinstance(value, list | tuple | np.ndarray):
        return {"kind": "listed", "each": tuple(value)}
    return {"kind": "same", "value": value}


def _ends_are(allowed: Any) -> Callable[[Quantity], Quantity]:
    adapter = TypeAdapter(allowed)

    def check(quantity: Quantity) -> Quantity:
        for end in quantity.ends:
            adapter.validate_python(end)
        return quantity

    return check


_Any = Annotated[Same | Listed | Uniform | LogUniform | Normal | Choice, Field(discriminator="kind")]
# What is drawn or listed keeps the range of the setting in whose place it stands.
PositiveQuantity = Annotated[_Any, BeforeValidator(_spelled_out), AfterValidator(_ends_are(Positive))]
NonNegativeQuantity = Annotated[_Any, BeforeValidator(_spelled_out), AfterValidator(_ends_are(NonNegative))]
ShareQuantity = Annotated[_Any, BeforeValidator(_spelled_out), AfterValidator(_ends_are(Share))]
DecibelQuantity = Annotated[_Any, BeforeValidator(_spelled_out), AfterValidator(_ends_are(Decibel))]
