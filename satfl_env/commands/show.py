"""`satfl show`: a scenario with all its defaults."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from satfl_env.commands.options import SCENARIO, Overrides, parse_overrides


def show(
    scenario: Annotated[str, typer.Argument(**SCENARIO)],
    overrides: Overrides = None,
) -> None:
    """Show a whole scenario with its defaults, as YAML that can be used as a scenario file."""
    # These take seconds to import, which --help need not wait for.
    import yaml

    from satfl_env.scenarios import load
    from satfl_env.scenarios.errors import named

    loaded = load(scenario, **parse_overrides(overrides))
    with named(scenario):
        loaded.checked_parts(None)
    config = loaded.model_dump(mode="json")
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
    if not _fits(text):
        text = yaml.safe_dump(config, sort_keys=False, width=100)
    print(text, end="")


def _fits(text: str) -> bool:
    """Whether standard output can show every character; else the file has escapes in their place."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return all(map(str.isprintable, text.splitlines()))
