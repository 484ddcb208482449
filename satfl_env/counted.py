"""Numbers of things, as messages say them."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """A number with its noun, whose plural ends in `s`: `1 round`, `30 rounds`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
