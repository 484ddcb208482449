"""Where lines of a table break: numbers stay beside their intervals, names break at dots, colons and underscores."""

from __future__ import annotations

import re
from typing import Any

_CELL = re.compile(r"<t[dh][ >].*?</t[dh]>", re.DOTALL)
# Code stays as it is when it is copied; spaces are those of `0.71 ± 0.02` and `[0.69, 0.73]`.
_CODE_OR_SPACE = re.compile(
    r"(?P<code><code>.*?</code>)|(?<=\d) (?=± )|(?<=±) (?=\d)|(?<=\d,) (?=[-+]?[\d.]+\])", re.DOTALL
)
_INSIDE_A_NAME = re.compile(r"(?<=[A-Za-z\d][._:])(?=[A-Za-z])")


def on_page_content(html: str, **_: Any) -> str:
    """Set the breaks in the tables of a page; mkdocs calls it."""
    return _CELL.sub(lambda cell: _CODE_OR_SPACE.sub(_breaks, cell[0]), html)


def _breaks(place: re.Match[str]) -> str:
    return _INSIDE_A_NAME.sub("<wbr>", place["code"]) if place["code"] else "&nbsp;"
