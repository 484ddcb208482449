"""How much a scenario may say, so that reading one always ends soon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

MOST_BYTES = 131_072
MOST_VALUES = 10_000
MOST_LEVELS = 32

Node = TypeVar("Node")


def check_extent(root: Node, inside: Callable[[Node], Iterable[Node]]) -> None:
    """Check that nested values are neither too many nor too deep, without recursion.

    A value that occurs several times counts each time, as if aliases were written out, so a cycle is too deep.

    Args:
        root: The outermost value.
        inside: The values directly inside one.

    Raises:
        ValueError: More than `MOST_VALUES` values, or more than `MOST_LEVELS` inside one another.
    """
    waiting, count = [(root, 1)], 0
    while waiting:
        node, level = waiting.pop()
        count += 1
        if level > MOST_LEVELS:
            raise ValueError(f"must not be nested more than {MOST_LEVELS} levels deep")
        if count > MOST_VALUES:
            raise ValueError(f"must not hold more than {MOST_VALUES} values, aliases written out")
        waiting.extend((inner, level + 1) for inner in inside(node))


def check_plain_extent(value: Any) -> None:
    """Check mappings and sequences inside one another; see `check_extent`."""
    check_extent(value, _inside)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
