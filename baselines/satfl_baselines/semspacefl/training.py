"""Which episodes SemSpaceFL's trained tables and figures need, and playing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from satfl_baselines.comparison import compare
from satfl_baselines.results import summarise
from satfl_baselines.semspacefl.paper import TABLE_2, TABLE_4
from satfl_baselines.summary import Comparison
from satfl_env.scenarios import Scenario, load

SCENARIO = "semspacefl"
FEDSEL, FEDAVG = "semspacefl", "proposed-fedavg"
BY_ALPHA = (FEDSEL, FEDAVG, "proposed-fedlol")

# Settings, each with its own result folder: their changes to the scenario.
HFL, APART, ALPHA_1, ALPHA_10 = "hfl", "apart", "alpha-1", "alpha-10"
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    HFL: {},
    APART: {"rounds.cloud_every": 1_000_000},  # no episode is that long: the cloud never merges
    ALPHA_1: {"data.partition.alpha": 1.0},
    ALPHA_10: {"data.partition.alpha": 10.0},
}
NEEDED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "table2": {HFL: tuple(TABLE_2)},
    "table4": {HFL: tuple(TABLE_4)},
    "fig3": {HFL: (FEDAVG,), APART: (FEDAVG,)},
    "fig4": {HFL: (FEDAVG,), APART: (FEDAVG,)},
    "fig6": {ALPHA_1: BY_ALPHA, ALPHA_10: BY_ALPHA},
    "fig7": {HFL: tuple(TABLE_4)},
}

SIZES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {},
    # The stages of WITT's size at 224x224, with every minibatch trained.
    "paper": {
        "data.image_size": 224,
        "model.width": 64,
        "model.patch": 2,
        "model.depths": (2, 2, 6, 2),
        "model.head_width": 32,
        "model.window": 7,
        "training.engine": "loop",  # one satellite at a time in memory
        "training.batch_size": 16,
        "training.learning_rate": 1e-4,
        "training.round_share": 1.0,
        "rounds.episode": 100,
    },
}
# Enough to see every number appear, not to tell the rules apart.
QUICK: Mapping[str, Any] = {"rounds.episode": 6, "training.round_share": 1 / 24, "data.test_samples": 30}
QUICK_SEEDS = 2


def needed(figures: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Policies to play in each setting for some tables and figures, those in common once."""
    policies: dict[str, dict[str, None]] = {}
    for figure in figures:
        for setting, names in NEEDED[figure].items():
            policies.setdefault(setting, {}).update(dict.fromkeys(names))
    return {setting: tuple(names) for setting, names in policies.items()}


def play(
    figures: Iterable[str],
    changes: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> dict[str, Comparison]:
    """Play what some tables and figures need, except for what the result folders under `out` already hold.

    Args:
        figures: Keys of `NEEDED`.
        changes: Scenario values to change in all settings.
        seeds: Seeds that every policy plays.
        out: Folder of the settings' result folders.
        workers: Processes to play in.
        progress: Called with the numbers of finished and of all episodes.

    Returns:
        The comparison in each setting.
    """
    asked = needed(figures)
    total, before, comparisons = sum(map(len, asked.values())) * len(seeds), 0, {}
    for setting, policies in asked.items():
        scenario: Scenario = load(SCENARIO, **{**changes, **SETTINGS[setting]})

        def advance(finished: int, _: int, before: int = before) -> None:
            progress(before + finished, total)

        comparisons[setting] = compare(scenario, policies, seeds, out / setting, workers=workers, progress=advance)
        summarise(out / setting, comparisons[setting])
        before += len(policies) * len(seeds)
    return comparisons
