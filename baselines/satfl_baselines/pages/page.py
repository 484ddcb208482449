"""A page of HTML that needs nothing but itself, from the files in `templates`.

Its numbers are JSON, and its script draws them. The policy in its head lets a browser run this very script and use
this very style, known by their digests, and nothing else: no request leaves the machine, and text of the user's is
never run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from satfl_baselines.files import expressible, require_place

# Text in JSON could end the element that holds it.
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}
MOST_ROWS = 1000
"""Rows of a table that a page shows; more would make a browser slow."""
SCRIPTS = {
    "replay": ("page.js", "chart.js", "globe.js", "replay.js"),
    "report": ("page.js", "chart.js", "report.js"),
}


def require_page(path: Path) -> None:
    """Refuse a path that no page can be written to, see `require_place`."""
    require_place(path, "page", (".html",))


def html_page(kind: str, title: str, data: Mapping[str, Any]) -> bytes:
    """A page.

    Args:
        kind: Of the page: a name in `SCRIPTS`.
        title: Its title.
        data: What its script shows; numbers that are not finite become null.
    """
    script = "\n".join(map(_template, SCRIPTS[kind]))
    style = _template("page.css")
    page = Template(_template("page.html")).substitute(
        title=html.escape(str(expressible(title))),
        script=script,
        script_digest=_digest(script),
        style=style,
        style_digest=_digest(style),
        body=_template(f"{kind}.html"),
        data=_json(data),
    )
    return page.encode()


@cache
def _template(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(data: Mapping[str, Any]) -> str:
    text = json.dumps(expressible(data), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.translate(_ESCAPES)
