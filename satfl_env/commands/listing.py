"""`satfl list`: the available choices, each kind from its own entry point."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from satfl_env.commands.console import output_console
from satfl_env.suggestions import did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

LISTS = "satfl.lists"
# A name, and its description in one line.
Row = tuple[str, str]


def lists() -> dict[str, EntryPoint]:
    """What can be listed, by name; an entry point is a function without arguments that returns rows."""
    return {entry.name: entry for entry in sorted(entry_points(group=LISTS), key=lambda entry: entry.name)}


def complete_kind(incomplete: str) -> list[str]:
    """Kinds that begin with the given text."""
    return [name for name in lists() if name.startswith(incomplete)]


def list_names(
    kind: Annotated[
        str | None, typer.Argument(help="What to list; everything if left out.", autocompletion=complete_kind)
    ] = None,
) -> None:
    """List scenarios, policies, trained policies, suites, models, data, rewards and parts."""
    known = lists()
    if kind is not None and kind not in known:
        raise ValueError(f"there is no list of {kind!r}{did_you_mean(kind, known)}; there are: {', '.join(known)}")
    chosen = known if kind is None else {kind: known[kind]}
    tables = [_table(name, entry.load()()) for name, entry in chosen.items()]
    console = output_console()
    for table in tables:
        console.print(table, "")


def _table(heading: str, rows: Iterable[Row]) -> Table:
    from rich.table import Table

    table = Table(heading, "what it is", box=None)
    for row in rows:
        table.add_row(*row)
    return table


def scenarios() -> Iterable[Row]:
    """Built-in scenarios."""
    from satfl_env.scenarios import load, names

    for name in names():
        yield name, load(name).description.partition(". ")[0].rstrip(".")


def models() -> Iterable[Row]:
    """Models, by the kinds of a scenario's section."""
    from satfl_env.scenarios.models import Model

    for section in get_args(Model):
        yield section.kind, _first_line(section)


def data() -> Iterable[Row]:
    """Image sources."""
    from satfl_env.data import SOURCES

    return [(name, _first_line(source)) for name, source in SOURCES.items()]


def rewards() -> Iterable[Row]:
    """Reward terms."""
    from satfl_env.envs.rewards import TERMS

    return [(name, _first_line(term)) for name, (term, _) in TERMS.items()]


def parts() -> Iterable[Row]:
    """Parts of a simulation that a user can replace."""
    from satfl_env.simulation import PARTS

    return [(name, part.form) for name, part in PARTS.items()]


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0].rstrip(".")
