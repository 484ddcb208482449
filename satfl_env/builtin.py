"""The built-in scenarios: their names and files, for modules that cannot wait for the imports of `scenarios`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

DEFAULT_SCENARIO = "leo-multitask"
_FOLDER = resources.files("satfl_env").joinpath("scenarios", "builtin")


def names() -> tuple[str, ...]:
    """Names of the built-in scenarios, sorted."""
    return tuple(sorted(Path(file.name).stem for file in _FOLDER.iterdir() if file.name.endswith(".yaml")))


def yaml_text(name: str) -> str:
    """The YAML text of a built-in scenario."""
    return _FOLDER.joinpath(f"{name}.yaml").read_text(encoding="utf-8")
