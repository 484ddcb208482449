"""Playing systems on the same seeds, each in a result folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from satfl_baselines.comparison import compare
from satfl_baselines.evaluate import Decide
from satfl_baselines.field.system import System
from satfl_baselines.summary import Comparison


def play(
    systems: Sequence[System],
    changes: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    *,
    own: Mapping[str, Decide] | None = None,
    workers: int = 1,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> dict[str, Comparison]:
    """Play the episodes that are not yet in the folder.

    Args:
        systems: The systems.
        changes: Scenario values to change for all of them.
        seeds: Seeds that every system plays.
        out: Folder of the systems' result folders.
        own: Policies by name that are not in the registry.
        workers: Processes to play in.
        progress: Called with the numbers of finished and of all episodes.

    Returns:
        Each system's episodes by its name.

    Raises:
        ValueError, TypeError, OSError: As `compare` does.
    """
    scenarios = {system.name: system.scenario(changes) for system in systems}
    total, played = len(systems) * len(seeds), {}
    for index, system in enumerate(systems):

        def advance(finished: int, _: int, before: int = index * len(seeds)) -> None:
            progress(before + finished, total)

        brought = {name: policy for name, policy in (own or {}).items() if name == system.policy}
        folder = out / system.name
        played[system.name] = compare(
            scenarios[system.name], (system.policy,), seeds, folder, own=brought, workers=workers, progress=advance
        )
    return played
