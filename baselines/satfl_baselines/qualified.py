"""How results name a user's own parts, policies and rewards."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any


def qualified_name(brought: Any) -> str:
    """`module:qualname` of a class or function, of what a `partial` calls, and of any other object's class."""
    if isinstance(brought, partial):
        return qualified_name(brought.func)
    named = brought if hasattr(brought, "__qualname__") else type(brought)
    return f"{named.__module__}:{named.__qualname__}"


def describe(brought: Any) -> Any:
    """The form kept in a record: plain values as they are, mappings entry by entry, all else by its qualified name."""
    if isinstance(brought, Mapping):
        return {
            name if isinstance(name, str) else qualified_name(name): describe(value) for name, value in brought.items()
        }
    return brought if isinstance(brought, str | int | float | None) else qualified_name(brought)
