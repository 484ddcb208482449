"""Formulas of the documentation as MathML, which browsers show without scripts, fonts or a network."""

from __future__ import annotations

import logging
import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert

# What pymdownx.arithmatex makes of $...$ and $$...$$.
_FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)
_log = logging.getLogger("mkdocs.hooks.mathml")


def on_page_content(html: str, **_: Any) -> str:
    """Replace the formulas of a page, those of its docstrings included; mkdocs calls it."""
    return _FORMULA.sub(_mathml, html)


def _mathml(formula: re.Match[str]) -> str:
    # The converter does not know \arg, and leaves what it does not know as it is.
    latex = unescape(formula["latex"]).replace(r"\arg", r"\operatorname{arg}")
    mathml = convert(latex, display="block" if formula["tag"] == "div" else "inline")
    if "\\" in mathml:
        _log.warning("no MathML for the formula %s", latex)
    # A wide formula scrolls by itself on a phone, see extra.css.
    return f'<div class="formula">{mathml}</div>' if formula["tag"] == "div" else mathml
