"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question with the known words closest to a wrong one, to end a message with; empty if there are none."""
    return question(near(word, known))


def near(word: str, known: Iterable[str]) -> list[str]:
    """The known words closest to a wrong one, the closest first; at most three."""
    spelt = {name.lower(): name for name in known}
    return [spelt[name] for name in difflib.get_close_matches(word.lower(), spelt, n=3)]


def question(guesses: Iterable[str]) -> str:
    """A question with some guesses, to end a message with; empty if there are none."""
    text = " or ".join(map(repr, guesses))
    return f", did you mean {text}?" if text else ""
