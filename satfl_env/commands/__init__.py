"""The console command `satfl`, and what its subcommands share.

Subcommands are entry points of the group `satfl.commands`, the lists of `satfl list` those of `satfl.lists`, so that
other packages can add their own. Modules that define a subcommand import nothing heavy before it runs.
"""

from __future__ import annotations

from satfl_env.builtin import DEFAULT_SCENARIO
from satfl_env.commands.app import main, make_app
from satfl_env.commands.console import error_console, output_console, say, say_warning
from satfl_env.commands.interrupts import command_line, keeps_what_is_finished
from satfl_env.commands.objects import import_object
from satfl_env.commands.options import (
    PNG,
    Overrides,
    Parts,
    PictureFormats,
    RewardName,
    ScenarioName,
    Workers,
    load_parts,
    parse_formats,
    parse_overrides,
)
from satfl_env.commands.progress import progress_bar

__all__ = [
    "DEFAULT_SCENARIO",
    "PNG",
    "Overrides",
    "Parts",
    "PictureFormats",
    "RewardName",
    "ScenarioName",
    "Workers",
    "command_line",
    "error_console",
    "import_object",
    "keeps_what_is_finished",
    "load_parts",
    "main",
    "make_app",
    "output_console",
    "parse_formats",
    "parse_overrides",
    "progress_bar",
    "say",
    "say_warning",
]
