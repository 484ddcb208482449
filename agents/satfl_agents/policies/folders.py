"""Where trained policies lie; finding one needs no learner's library."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

DESCRIPTION = "policy.json"
# A run keeps its best policy in this folder.
POLICY = "policy"


def policy_folder(name_or_folder: str | Path) -> Path | None:
    """The folder of a trained policy, of one that the run in a folder trained, or of one of the package by its name."""
    places = Path(name_or_folder), Path(name_or_folder) / POLICY, _pretrained() / name_or_folder
    return next((folder for folder in places if (folder / DESCRIPTION).is_file()), None)


def pretrained_names() -> tuple[str, ...]:
    """Names of the policies that come with the package."""
    return tuple(folder.name for folder in pretrained_folders())


def pretrained_folders() -> tuple[Path, ...]:
    """Folders of the policies that come with the package."""
    return tuple(sorted(path for path in _pretrained().glob("*") if (path / DESCRIPTION).is_file()))


def _pretrained() -> Path:
    return Path(str(resources.files("satfl_agents") / "pretrained"))
