"""One page for each system of the field, made of its file and of its row in the table of docs/field.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_DOCS = Path(__file__).parent
_FILES = _DOCS.parent / "baselines" / "satfl_baselines" / "field" / "systems"


def on_config(config: Any) -> Any:
    """Put the pages below the section `Systems`; mkdocs calls it."""
    (section,) = (entry["Systems"] for entry in config.nav if "Systems" in entry)
    section.extend({_read(file)["title"]: f"systems/{file.stem}.md"} for file in _files())
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages; mkdocs calls it."""
    from mkdocs.structure.files import File

    table = (_DOCS / "field.md").read_text(encoding="utf-8")
    for file in _files():
        content = page(file.stem, _read(file), table)
        files.append(File.generated(config, f"systems/{file.stem}.md", content=content))
    return files


def page(name: str, system: dict[str, Any], table: str) -> str:
    """The page of a system in Markdown.

    Args:
        name: Its name.
        system: What its file says.
        table: The text that has its row.
    """
    lines = table.splitlines()
    (header,) = (_cells(line) for line in lines if line.startswith("| system |"))
    (row,) = (_cells(line) for line in lines if line.startswith(f"| `{name}` |") and "±" in line)
    settings = yaml.safe_dump(system.get("settings", {}), sort_keys=False)
    parts = [
        f"# {system['title']}",
        system["source"],
        f"## What the paper claims\n\n{system['claim']}",
        f"## What was chosen here\n\n{system['chosen']}" if "chosen" in system else "",
        f"## As a file\n\nThe policy is `{system['policy']}`. What it changes in the scenario `field`:",
        f"```text\n{settings}```" if "settings" in system else "Nothing.",
        "## What comes out\n\nIts row of [the table of all systems](../field.md#what-comes-out):",
        "\n".join([f"| {header[0]} | {row[0]} |", "|---|---|", *map("| {} | {} |".format, header[1:], row[1:])]),
    ]
    return "\n\n".join(filter(None, parts))


def _cells(line: str) -> list[str]:
    """Cells of a line of a table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def _files() -> list[Path]:
    return sorted(_FILES.glob("*.yaml"))


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content
