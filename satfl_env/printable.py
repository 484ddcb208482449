"""Text of the user's as it is shown: names, paths and values that may hold anything."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""The text with control characters and other invisible ones written as escapes, like `\x1b`.

    Printed as they are, they can steer a terminal, or hide what follows.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
