"""How settings are declared, and the ranges that many of them share.

A setting is a field of a frozen pydantic dataclass, which both a scenario and plain Python code fill in:

    @dataclass(frozen=True, config=STRICT)
    class Panels:
        area_m2: Positive
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Decibel = Annotated[float, Field(ge=-200, le=200)]
Count = Annotated[int, Field(ge=1)]


def default_of(maker: Callable[..., Any], name: str) -> Any:
    """The default of a parameter, for settings that are passed on to it, so that it is declared once.

    Raises:
        ValueError: If the parameter has no default.
    """
    default = inspect.signature(maker).parameters[name].default
    if default is inspect.Parameter.empty:
        raise ValueError(f"{name} of {maker.__qualname__} has no default")
    return default
