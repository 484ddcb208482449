"""The program: one subcommand for each entry point."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import typer

NAME = "satfl"
COMMANDS = f"{NAME}.commands"


def main() -> None:
    """Run `satfl`, or complete its command line for a shell."""
    if f"_{NAME.upper()}_COMPLETE" in os.environ:
        # Shells take every line as a candidate, so help texts must not be wrapped.
        os.environ["COLUMNS"] = "1000"
    make_app()(prog_name=NAME)


def make_app(commands: Iterable[EntryPoint] | None = None) -> typer.Typer:
    """The program with some subcommands, each a function with typer's annotations; all that are installed if None."""
    if commands is None:
        commands = entry_points(group=COMMANDS)
    app = typer.Typer(
        help="Federated learning of semantic communication over LEO satellites.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
    )

    # With a callback, a single command is still a subcommand.
    @app.callback()
    def satfl() -> None:
        pass

    for command in sorted(commands, key=lambda command: command.name):
        app.command(command.name)(command.load())
    return app
