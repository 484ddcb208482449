"""The error of scenarios, and how messages get the place that they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


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
