"""The environment's native spaces as JSON."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from satfl_env.scenarios.section import Section

Numbers = float | list[Any]


class BoxFile(Section):
    """A `Box`; its bounds are one number where they are the same everywhere."""

    kind: Literal["box"] = "box"
    low: Numbers
    high: Numbers
    shape: tuple[int, ...]
    dtype: str


class ChoicesFile(Section):
    """A `MultiDiscrete` that counts from 0."""

    kind: Literal["choices"] = "choices"
    choices: list[int]


SpaceFile = dict[str, BoxFile | ChoicesFile]


def space_file(space: spaces.Dict) -> SpaceFile:
    """A space in the form of a file."""
    return {name: _part_file(part) for name, part in space.items()}


def to_space(file: SpaceFile) -> spaces.Dict:
    """The space of a file.

    Raises:
        ValueError: If bounds do not fit the shape, or there is no such type of numbers.
    """
    return spaces.Dict([(name, _to_part(part)) for name, part in file.items()])


def _part_file(part: spaces.Space[Any]) -> BoxFile | ChoicesFile:
    if isinstance(part, spaces.MultiDiscrete):
        return ChoicesFile(choices=part.nvec.tolist())
    assert isinstance(part, spaces.Box)
    return BoxFile(low=_bound(part.low), high=_bound(part.high), shape=part.shape, dtype=str(part.dtype))


def _to_part(part: BoxFile | ChoicesFile) -> spaces.Space[Any]:
    if isinstance(part, ChoicesFile):
        return spaces.MultiDiscrete(part.choices)
    try:
        low, high = (np.broadcast_to(np.array(bound, part.dtype), part.shape) for bound in (part.low, part.high))
        return spaces.Box(low.copy(), high.copy(), dtype=np.dtype(part.dtype).type)
    except TypeError as error:
        raise ValueError(str(error)) from error


def _bound(bound: Any) -> Numbers:
    first: float = bound.flat[0].item()
    return first if (bound == first).all() else bound.tolist()
