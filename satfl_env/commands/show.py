"""`satfl show`: a scenario with all its defaults."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from satfl_env.commands.console import one_line_errors
from satfl_env.commands.options import Overrides, complete_scenario, parse_overrides


def show(
    scenario: Annotated[
        str, typer.Argument(help="Name of a built-in scenario, or a YAML file.", autocompletion=complete_scenario)
    ],
    overrides: Overrides = None,
) -> None:
    """Show a whole scenario with its defaults, as YAML that can be used as a scenario file."""
    # These take seconds to import, which --help need not wait for.
    import yaml

    from satfl_env.scenarios import load

    with one_line_errors(Console(stderr=True)):
        config = load(scenario, **parse_overrides(overrides))
    print(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100), end="")
