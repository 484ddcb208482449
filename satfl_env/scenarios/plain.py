"""Plain data, as a scenario's file could hold it, from the values of overrides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from pydantic import BaseModel

from satfl_env.scenarios.limits import MOST_VALUES, check_plain_extent

_MOST_BITS = 1024  # no larger integer fits a float


def plain(value: Any) -> Any:
    """A copy of a value as plain data: nothing in it is shared with the caller, or twice inside it.

    Mappings become dicts, sequences and NumPy arrays lists, NumPy scalars and fractions numbers, paths text. Sections
    stay as they are.

    Raises:
        ValueError: If it is nested too deep or holds too many values, a key is not text, a number is too large, or
            something is no data, such as a set, bytes or a generator.
    """
    check_plain_extent(value)
    return _plain(value)


def utc_text(value: date) -> str:
    """A date, or a date and time, in ISO 8601; one with an offset is converted to UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_key(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return _from_array(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Decimal | Fraction):
        return _as_float(value)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise ValueError(f"an integer must not have more than {_MOST_BITS} bits, got {value.bit_length()}")
    if value is None or isinstance(value, str | int | float | date | BaseModel) or is_dataclass(value):
        return value
    raise ValueError(f"must be made of mappings, sequences, text and numbers, got a {type(value).__name__}")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"keys must be text, got {key!r}")
    return key


def _from_array(value: np.ndarray[Any, Any] | np.generic) -> Any:
    if value.size > MOST_VALUES:
        raise ValueError(f"must not hold more than {MOST_VALUES} values, got an array of shape {value.shape}")
    return _plain(value.tolist())


def _as_float(value: Decimal | Fraction) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("a fraction must fit a float") from error
