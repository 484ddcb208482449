"""How results name a user's own parts, policies and rewards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any


def qualified_name(brought: Any) -> str:
    """`module:qualname` of a class or function, of what a `partial` calls, and of any other object's class."""
    if isinstance(brought, partial):
        return qualified_name(brought.func)
    named = brought if hasattr(brought, "__qualname__") else type(brought)
    return f"{named.__module__}:{named.__qualname__}"


def describe(brought: Any) -> Any:
    """The form kept in a record.

    Plain values are kept as they are, mappings and sequences entry by entry, dataclasses and `partial` as their name
    with their settings, and all else by its qualified name.
    """
    if isinstance(brought, str | int | float | None):
        return brought
    if isinstance(brought, Mapping):
        return {
            name if isinstance(name, str) else qualified_name(name): describe(value) for name, value in brought.items()
        }
    if isinstance(brought, list | tuple):
        return [describe(value) for value in brought]
    if isinstance(brought, partial):
        return {"name": qualified_name(brought), "args": describe(brought.args), **describe(brought.keywords)}
    if is_dataclass(brought) and not isinstance(brought, type):
        settings = {field.name: getattr(brought, field.name) for field in fields(brought)}
        return {"name": qualified_name(brought), **describe(settings)} if settings else qualified_name(brought)
    return qualified_name(brought)
