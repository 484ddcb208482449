"""Measured values as tables, on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as RichTable

Values = Mapping[str, float]


class Table(NamedTuple):
    """Values of one or more cases that were measured in the same ways.

    Attributes:
        columns: What was measured.
        rows: The cases, each with its values.
    """

    columns: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]


def tables(values: Values) -> list[Table]:
    """Arrange values named `case: quantity`; neighbouring cases with the same quantities share a table."""
    cases: dict[str, dict[str, float]] = {}
    for name, value in values.items():
        case, _, quantity = name.rpartition(": ")
        cases.setdefault(case, {})[quantity] = value
    return [
        Table(columns, {case: tuple(quantities.values()) for case, quantities in group})
        for columns, group in groupby(cases.items(), key=lambda item: tuple(item[1]))
    ]


def show(console: Console, values: Values) -> None:
    """Print the tables."""
    for columns, rows in tables(values):
        table = RichTable("")
        for column in columns:
            table.add_column(column, justify="right", overflow="fold")
        for case, numbers in rows.items():
            table.add_row(case, *map(_number, numbers))
        console.print(table)


def markdown(title: str, paragraphs: Iterable[str], values: Values) -> str:
    """A section with the tables."""
    parts = [f"## {title}", *paragraphs]
    for columns, rows in tables(values):
        lines = [("", *columns), ("---", *("---:" for _ in columns))]
        lines += [(case, *map(_number, numbers)) for case, numbers in rows.items()]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _number(value: float) -> str:
    """Three significant digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
