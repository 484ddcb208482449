"""The error of scenarios, and how messages get the place that they are about and plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Of problems in which pydantic speaks of tuples, as the code does; files have lists.
_OF_LISTS = {"tuple_type", "too_short", "too_long"}


class ScenarioError(ValueError):
    """A scenario that does not exist or is not valid; the message names the field, its value and what is allowed."""


@contextmanager
def prefixed(prefix: str, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """Put a prefix before the messages of errors about values, and raise them as another kind.

    Errors about a whole scenario have their place already.
    """
    try:
        yield
    except ScenarioError:
        raise
    except ValueError as error:
        raise kind(f"{prefix}{error}") from error


@contextmanager
def named(scenario: str) -> Iterator[None]:
    """Begin the messages of errors about a loaded scenario, which does not know its name or file, with that."""
    try:
        yield
    except ScenarioError as error:
        raise ScenarioError(f"scenario {scenario!r}: {error}") from error


def refuse_together(given: Mapping[str, Any], other: str, why: str, kind: type[ValueError] = ValueError) -> None:
    """Raise an error if any of some settings is given, none of which goes with another one.

    Args:
        given: The settings by name; those that are false, empty or None are not given.
        other: The setting that they do not go with.
        why: The reason.
        kind: The error.
    """
    for name, value in given.items():
        if value:
            raise kind(f"{name} does not go with {other}: {why}")


def plain_words(problem: Mapping[str, Any]) -> str:
    """The message of one of the problems that a pydantic error lists, in words of files."""
    message = "missing" if problem["type"] == "missing" else str(problem["msg"]).removeprefix("Value error, ")
    return message.replace("tuple", "list").replace("Tuple", "List") if problem["type"] in _OF_LISTS else message
