"""What command lines have in common: `--set KEY=VALUE`, and errors in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a scenario value; may be repeated.")
]


def parse_overrides(items: Sequence[str]) -> dict[str, Any]:
    """Overrides from KEY=VALUE items; values are read as YAML.

    Raises:
        ValueError: If an item has no key or no `=`, or its value is not valid YAML.
    """
    overrides: dict[str, Any] = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not separator or not key:
            raise ValueError(f"--set takes KEY=VALUE, for instance training.batch_size=16, got {item!r}")
        try:
            overrides[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"--set {key} has a value that is not valid YAML: {value!r}") from error
    return overrides


@contextmanager
def one_line_errors(console: Console) -> Iterator[None]:
    """End with one line and no traceback: exit code 2 on bad input, 1 if a package is missing or the run fails."""
    try:
        yield
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        message = " ".join(str(error).split())
        console.print(f"error: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2 if isinstance(error, ValueError | OSError) else 1) from error
