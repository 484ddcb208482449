"""The program: one subcommand for each entry point."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from satfl_env import __version__
from satfl_env.commands.console import one_line_errors, say_error, say_warning
from satfl_env.commands.interrupts import end_on_signals
from satfl_env.commands.streams import prepare_streams
from satfl_env.suggestions import did_you_mean

NAME = "satfl"
COMMANDS = f"{NAME}.commands"
# Of a command line that cannot be read; typer has no public name for it.
_UsageError: Any = typer.BadParameter.__base__


def main() -> None:
    """Run `satfl`, or complete its command line for a shell."""
    end_on_signals()
    prepare_streams()
    warnings.showwarning = say_warning
    if f"_{NAME.upper()}_COMPLETE" in os.environ:
        # Shells take every line as a candidate, so help texts must not be wrapped.
        os.environ["COLUMNS"] = "1000"
    make_app()(prog_name=NAME)


def make_app(commands: Iterable[EntryPoint] | None = None) -> typer.Typer:
    """The program with some subcommands, each a function with typer's annotations; all that are installed if None."""
    if commands is None:
        commands = entry_points(group=COMMANDS)
    app = typer.Typer(
        cls=_Group,
        help="Federated learning of semantic communication over LEO satellites.",
        pretty_exceptions_show_locals=False,
    )

    # With a callback, a single command is still a subcommand.
    @app.callback(invoke_without_command=True)
    def satfl(
        context: typer.Context,
        version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    for command in sorted(commands, key=lambda command: command.name):
        app.command(command.name)(command.load())
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


def _told(error: Any) -> str:
    """What is wrong with a command line, with the value that typer leaves out of a number's message."""
    if isinstance(error.__cause__, ValidationError):
        problem = error.__cause__.errors()[0]
        got = "" if problem["type"] == "value_error" else f", got {problem['input']!r}"
        error.message = problem["msg"].removeprefix("Value error, ").rstrip(".") + got
    return str(error.format_message())


class _Group(TyperGroup):
    """Subcommands; whatever is wrong with their arguments or fails in them is told in one line."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The subcommand that the first argument names, with its name and the other arguments."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program, and end with an exit code unless it is only a part of another."""
        alone = options.pop("standalone_mode", True)
        run = partial(super().main, *args, **{**options, "standalone_mode": False})
        if not alone:
            return run()
        try:
            with one_line_errors():
                status = run()
                sys.stdout.flush()
        except _UsageError as error:
            say_error(f"{_told(error)} ({error.ctx.command_path} --help tells more)")
            status = error.exit_code
        sys.exit(status)
