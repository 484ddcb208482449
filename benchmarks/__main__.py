"""Command line: `python -m benchmarks`."""

from __future__ import annotations

import inspect
import json
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine, report
from satfl_env.suggestions import did_you_mean

REPORT = Path("BENCHMARKS.md")
INTRODUCTION = """# Benchmarks

Made by `python -m benchmarks --write`. Medians after a warm-up; compared jobs took turns in one run, or followed one
another directly. Ratios above 1 say how many times longer the first takes.
"""


class Section(StrEnum):
    """What can be measured: modules of this package with `run(quick)`, which returns values named `case: quantity`."""

    TRAINING = "training"
    JAX = "jax"
    FLOWER = "flower"
    PFL = "pfl"
    SWIN = "swin"
    GPU = "gpu"
    ENVIRONMENT = "environment"
    VECTORS = "vectors"
    OPTIONS = "options"
    ORBITS = "orbits"


def _section(name: str) -> Section:
    try:
        return Section(name)
    except ValueError as error:
        known = [section.value for section in Section]
        guess = did_you_mean(name, known)
        raise typer.BadParameter(f"no section {name!r}{guess}; there are: {', '.join(known)}") from error


Sections = Annotated[
    list[Section] | None, typer.Argument(parser=_section, help="What to measure; everything if left out.")
]


def main(
    sections: Sections = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases and repeats, for a first look.")] = False,
    write: Annotated[bool, typer.Option("--write", help=f"Write {REPORT} as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure speed and memory, side by side with alternatives."""
    console = Console(stderr=as_json)
    words = machine.in_words()
    console.print(words, highlight=False)
    results: dict[str, dict[str, float]] = {}
    text = [INTRODUCTION, f"Machine: {words}.\n"]
    for section in sections or list(Section):
        console.rule(section)
        try:
            module = import_module(f"benchmarks.{section}")
            values = module.run(quick)
        except ImportError as error:
            console.print(f"Left out: {error}.", markup=False, highlight=False, soft_wrap=True)
            text.append(report.markdown(section.capitalize(), [f"Left out: {error}."], {}))
            continue
        results[section] = values
        report.show(console, values)
        text.append(report.markdown(section.capitalize(), [inspect.cleandoc(module.__doc__ or "")], values))
    if as_json:
        print(json.dumps({"machine": words, "values": results}, indent=2))
    if write:
        REPORT.write_text("\n".join(text), encoding="utf-8")
        console.print(f"Wrote {REPORT}.")


if __name__ == "__main__":
    typer.run(main)
