"""Options that commands share: `--scenario`, `--set KEY=VALUE`, `--parts module:object`, `--format png,pdf`."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from satfl_env.builtin import names, require_scenario
from satfl_env.commands.objects import import_object
from satfl_env.drawing import DEFAULT_FORMATS, FORMATS
from satfl_env.settings import MOST_WORKERS
from satfl_env.suggestions import did_you_mean


def complete_scenario(incomplete: str) -> list[str]:
    """Built-in scenarios whose names begin with the given text."""
    return [name for name in names() if name.startswith(incomplete)]


def existing_scenario(context: typer.Context, name: str) -> str:
    """The name of a scenario that exists, which is told before the imports that reading it takes.

    Raises:
        ValueError: If there is none.
    """
    if not context.resilient_parsing:  # while a shell completes the command line
        require_scenario(name)
    return name


# Of an option or argument.
SCENARIO: Any = {
    "help": "Name of a built-in scenario, or a YAML file.",
    "autocompletion": complete_scenario,
    "callback": existing_scenario,
}
ScenarioName = Annotated[str, typer.Option(**SCENARIO)]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a scenario value; may be repeated.")
]
Parts = Annotated[
    list[str] | None,
    typer.Option(
        "--parts",
        metavar="MODULE:OBJECT",
        help="Your own parts in place of the scenario's: a mapping of names to parts, or a function that returns "
        "one; may be repeated. `satfl list parts` names them.",
    ),
]

PNG = ",".join(DEFAULT_FORMATS)
PictureFormats = Annotated[
    str, typer.Option("--format", help=f"Formats of pictures, separated by commas: {', '.join(FORMATS)}.")
]

Workers = Annotated[int, typer.Option(min=1, max=MOST_WORKERS, help="Processes to play in.")]

RewardName = Annotated[
    str | None,
    typer.Option(
        "--reward",
        metavar="MODULE:OBJECT",
        help="Reward of your own: a function of the RoundReport, or a mapping of terms to weights. "
        "`satfl list rewards` names the terms.",
    ),
]


def parse_overrides(items: Sequence[str] | None, option: str = "--set") -> dict[str, Any]:
    """Overrides from KEY=VALUE items of an option; values are read as in a scenario's file.

    Raises:
        ValueError: If an item has no key or no `=`, or its value is not valid YAML.
    """
    # It takes seconds to import, which --help need not wait for.
    from satfl_env.scenarios.reader import read_yaml

    overrides: dict[str, Any] = {}
    for item in items or []:
        key, separator, value = item.partition("=")
        if not separator or not key:
            raise ValueError(f"{option} takes KEY=VALUE, for instance training.batch_size=16, got {item!r}")
        try:
            overrides[key] = read_yaml(value)
        except ValueError as error:
            got = reprlib.repr(value)
            raise ValueError(f"{option} {key} has a value that is not valid YAML: {error}, got {got}") from error
    return overrides


def parse_formats(text: str) -> tuple[str, ...]:
    """The formats of pictures that `--format` asks for, each once.

    Raises:
        ValueError: If there is none, or one is unknown.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    for name in names:
        if name not in FORMATS:
            there = ", ".join(FORMATS)
            raise ValueError(
                f"--format takes some of {there}, separated by commas, got {name!r}{did_you_mean(name, FORMATS)}"
            )
    return names


def load_parts(specs: Sequence[str] | None) -> dict[str, Any]:
    """Parts by name, from objects named `module:object`.

    Raises:
        ValueError: If there is no such object, it neither is nor returns a mapping, or two of them have the same part.
    """
    parts: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for spec in specs or []:
        for name, part in _mapping(spec).items():
            if name in parts:
                raise ValueError(f"--parts {origin[name]} and --parts {spec} both have a part {name!r}")
            parts[name], origin[name] = part, spec
    return parts


def _mapping(spec: str) -> Mapping[str, Any]:
    found = import_object(spec)
    parts = found() if callable(found) else found
    if not isinstance(parts, Mapping) or not all(isinstance(name, str) for name in parts):
        returned = " from the call" if callable(found) else ""
        raise ValueError(
            f"--parts {spec} must be a mapping of part names to parts, or a function that returns one; "
            f"got {type(parts).__name__}{returned}"
        )
    return parts
