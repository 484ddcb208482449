"""Scenarios by name and file, for modules that cannot wait for the imports of `scenarios`."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from satfl_env.paths import expanded
from satfl_env.suggestions import did_you_mean

DEFAULT_SCENARIO = "leo-multitask"
_FOLDER = resources.files("satfl_env").joinpath("scenarios", "builtin")


def names() -> tuple[str, ...]:
    """Names of the built-in scenarios, sorted."""
    return tuple(sorted(Path(file.name).stem for file in _FOLDER.iterdir() if file.name.endswith(".yaml")))


def yaml_text(name: str) -> str:
    """The YAML text of a built-in scenario."""
    return _FOLDER.joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def is_file(name: str) -> bool:
    """Whether a scenario's name is that of a file of one's own."""
    return Path(name).suffix.lower() in {".yaml", ".yml"}


def require_scenario(name: str) -> None:
    """Raise `ValueError` if there is no such built-in scenario, or no such file."""
    if is_file(name):
        # What is there but cannot be read, such as a link in circles, is told when it is read.
        if not os.path.lexists(file := expanded(name)):
            raise ValueError(f"there is no scenario file {str(file)!r}")
    elif name not in names():
        raise ValueError(
            f"unknown scenario {name!r}{did_you_mean(name, names())}; built in: {', '.join(names())}; the name of a "
            "file of your own ends in .yaml or .yml"
        )
