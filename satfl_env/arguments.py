"""Checks of plain arguments that are numbers."""

from __future__ import annotations

import math

import numpy as np

# Seeds are shown in `info`, which holds int64 numbers for several environments.
HIGHEST_SEED = 2**63 - 1


def checked_integer(name: str, value: object, lowest: int, highest: int | None = None) -> int:
    """An argument as a Python integer.

    Raises:
        TypeError: If it is no integer; a bool is none.
        ValueError: If it is below `lowest` or above `highest`.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if highest is None and value < lowest:
        raise ValueError(f"{name} must be at least {lowest}, got {value}")
    if highest is not None and not lowest <= value <= highest:
        raise ValueError(f"{name} must lie in {lowest}..{highest}, got {value}")
    return int(value)


def checked_seed(name: str, value: object) -> int:
    """A seed as a Python integer.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is negative or needs more than 63 bits.
    """
    return checked_integer(name, value, 0, HIGHEST_SEED)


def as_number(value: object) -> float:
    """An argument as a float, to be compared with a range: NaN if it is no number or a bool, infinite if too large."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
