"""How settings are declared, and the ranges that many of them share.

A setting is a field of a frozen pydantic dataclass, which both a scenario and plain Python code fill in:

    @dataclass(frozen=True, config=STRICT)
    class Panels:
        area_m2: Positive
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

STRICT = ConfigDict(extra="forbid")
# Of settings that hold objects of the user's own, which are `SkipValidation` fields.
STRICT_WITH_OBJECTS = ConfigDict(**STRICT, arbitrary_types_allowed=True)

# The product of two integers fits 64 bits.
MOST = 2**31 - 1
# Each worker is a process that holds all libraries.
MOST_WORKERS = 256


def _no_truth_value(kind: str) -> BeforeValidator:
    """Refuses true and false, which Python takes for 1 and 0, where `kind` is wanted."""

    def check(value: Any) -> Any:
        if isinstance(value, bool | np.bool_):
            raise ValueError(f"must be {kind}, got {value}")
        return value

    return BeforeValidator(check)


# No quantity in SI units comes near these, and no product of those that are multiplied here leaves double precision.
LARGEST, SMALLEST = 1e60, 1e-60


def _not_too_small(value: float) -> float:
    if value < SMALLEST:
        raise ValueError(f"must be at least {SMALLEST:g}, got {value:g}")
    return value


def _not_too_large(value: float) -> float:
    if abs(value) > LARGEST:
        raise ValueError(f"must be at most {LARGEST:g} in size, got {value:g}")
    # NumPy refuses -0.0 as a standard deviation.
    return value + 0.0


# All numbers of settings are one of these or narrower. Text that spells a number is one, too, and 2.0 is an integer.
Finite = Annotated[float, _no_truth_value("a number"), Field(allow_inf_nan=False), AfterValidator(_not_too_large)]
Whole = Annotated[int, _no_truth_value("an integer"), Field(ge=0, le=MOST)]

Positive = Annotated[Finite, Field(gt=0), AfterValidator(_not_too_small)]
NonNegative = Annotated[Finite, Field(ge=0)]
Share = Annotated[Finite, Field(gt=0, le=1), AfterValidator(_not_too_small)]
Decibel = Annotated[Finite, Field(ge=-200, le=200)]
Loss = Annotated[Decibel, Field(ge=0)]
Count = Annotated[Whole, Field(ge=1)]
Workers = Annotated[Count, Field(le=MOST_WORKERS)]


@dataclass(frozen=True)
class _Stated:
    """What a scenario or plain Python code may state for a value of a wider type."""

    kind: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(self.kind)


# Stated as one number for all satellites; a fleet puts one for each in its place, (S,).
Each = float | NDArray[np.float64]
EachPositive = Annotated[Each, _Stated(Positive)]
EachNonNegative = Annotated[Each, _Stated(NonNegative)]
EachShare = Annotated[Each, _Stated(Share)]
EachDecibel = Annotated[Each, _Stated(Decibel)]


def default_of(maker: Callable[..., Any], name: str) -> Any:
    """The default of a parameter, for settings that are passed on to it, so that it is declared once.

    Raises:
        ValueError: If the parameter has no default.
    """
    default = inspect.signature(maker).parameters[name].default
    if default is inspect.Parameter.empty:
        raise ValueError(f"{name} of {maker.__qualname__} has no default")
    return default
