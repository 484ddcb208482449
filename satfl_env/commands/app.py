"""The program: one subcommand for each entry point."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import typer

COMMANDS = "satfl.commands"


def main() -> None:
    """Run `satfl`."""
    make_app()(prog_name="satfl")


def make_app(commands: Iterable[EntryPoint] | None = None) -> typer.Typer:
    """The program with some subcommands, each a function with typer's annotations; all that are installed if None."""
    if commands is None:
        commands = entry_points(group=COMMANDS)
    app = typer.Typer(
        help="Federated learning of semantic communication over LEO satellites.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
    )

    # A callback makes a single subcommand one, too.
    @app.callback()
    def satfl() -> None:
        pass

    for command in sorted(commands, key=lambda command: command.name):
        app.command(command.name)(command.load())
    return app
