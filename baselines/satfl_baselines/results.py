"""The folder of a comparison: what was asked for, every finished run, and the summary.

    manifest.json               scenario, own parts, rounds, batches per epoch, version; policies and seeds asked for
                                so far, and the functions behind your own policies
    runs/<policy>-<seed>.json   one finished episode each
    summary.csv, summary.json   outcomes of each policy: means and half widths of their 95 % intervals
    curves.csv, curves.png      the same round by round

Files appear whole or not at all, so that an interrupted comparison continues where it stopped. More policies or seeds
can be added to a folder later, if everything else is the same; the summary is that of the last request.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from satfl_baselines.evaluate import Decide, Episode, Run
from satfl_baselines.files import is_new, read_json, read_numbers, write_csv, write_json, write_png
from satfl_baselines.identity import identity, require_same
from satfl_baselines.qualified import describe
from satfl_baselines.summary import Comparison, Estimate
from satfl_env.scenarios import Scenario

if TYPE_CHECKING:
    from satfl_env import RewardChoice

FORMAT = 3
MANIFEST = "manifest.json"


class ResultFolder:
    """The result folder of a comparison, new or of an earlier one to be continued.

    Own policies, parts and functions in the reward are known by their qualified names, and by their settings where they
    are dataclasses or `functools.partial`.

    Args:
        path: The folder; made if it is not there.
        scenario: The scenario all runs have in common.
        policies: Names of the policies asked for.
        seeds: The seeds asked for.
        own: Your own policies by name.
        parts: Your own parts, in place of the scenario's.
        reward: Reward that episodes are judged by.

    Raises:
        ValueError: If the folder holds another comparison, or anything else, or an own policy's name stood for another
            function before.
        OSError: If it cannot be read or written.
    """

    def __init__(
        self,
        path: str | Path,
        scenario: Scenario,
        policies: Iterable[str],
        seeds: Iterable[int],
        *,
        own: Mapping[str, Decide] | None = None,
        parts: Mapping[str, Any] | None = None,
        reward: RewardChoice | None = None,
    ) -> None:
        self.path = Path(path)
        functions = describe(own or {})
        here = identity(scenario, format=FORMAT, rounds=scenario.rounds.episode, parts=parts or {}, reward=reward)
        earlier = _read_manifest(self.path) or {**here, "policies": [], "seeds": []}
        known = earlier.get("own", {})
        there = {key: earlier.get(key) for key in here}
        require_same(self.path, "comparison", there | {"own": functions | known}, here | {"own": known | functions})
        manifest = here | {
            "policies": list(dict.fromkeys([*earlier["policies"], *policies])),
            "seeds": sorted({*earlier["seeds"], *seeds}),
            "own": known | functions,
        }
        (self.path / "runs").mkdir(parents=True, exist_ok=True)
        write_json(self.path / MANIFEST, manifest)

    def has(self, run: Run) -> bool:
        """Whether a run is finished."""
        return self._run_path(run).exists()

    def load(self, run: Run) -> Episode:
        """The episode of a finished run."""
        episode: Episode = read_numbers(self._run_path(run))
        return episode

    def save(self, run: Run, episode: Episode) -> None:
        """Keep the episode of a finished run."""
        write_json(self._run_path(run), episode)

    def _run_path(self, run: Run) -> Path:
        # Not every system allows the colons of module:function, or slashes, in file names.
        return self.path / "runs" / f"{quote(run.policy, safe='')}-{run.seed}.json"


def summarise(path: str | Path, comparison: Comparison) -> dict[str, Any]:
    """Write tables, curves and picture of a comparison into its result folder.

    Args:
        path: The folder that `compare` filled.
        comparison: What it returned.

    Returns:
        What `summary.json` holds.

    Raises:
        OSError: If it is not the folder of a comparison, or cannot be written.
    """
    # Matplotlib takes a while to import, and most who import this package never draw.
    from satfl_baselines.plot import draw_curves

    path = Path(path)
    manifest = read_json(path / MANIFEST)
    estimates = {policy: comparison.estimates(policy) for policy in comparison.policies}
    summary = {
        "scenario": manifest["scenario"]["name"],
        **{key: manifest[key] for key in ("rounds", "batches_per_epoch", "version", "parts", "reward")},
        "round_share": manifest["scenario"]["training"]["round_share"],
        "seeds": list(comparison.seeds),
        "primary": list(comparison.primary),
        "policies": {
            policy: {
                name: {"mean": _number(estimate.mean), "ci95": _number(estimate.half_width)}
                for name, estimate in own.items()
            }
            for policy, own in estimates.items()
        },
    }
    write_json(path / "summary.json", summary)
    number = len(comparison.seeds)
    rows = [{"policy": policy, "seeds": number, **_columns(own)} for policy, own in estimates.items()]
    write_csv(path / "summary.csv", rows)
    write_csv(path / "curves.csv", curve_rows(comparison))
    write_png(path / "curves.png", draw_curves(comparison, f"{summary['scenario']}, seeds: {number}"))
    return summary


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a folder; None if the folder is new or empty, or no run was ever finished."""
    if is_new(path):
        return None
    manifest = read_json(path / MANIFEST) if (path / MANIFEST).exists() else None
    if not isinstance(manifest, dict) or not {"format", "policies", "seeds"} <= manifest.keys():
        raise ValueError(f"folder {str(path)!r} is not empty and holds no comparison; choose a new or an empty one")
    return manifest if any((path / "runs").glob("*.json")) else None


def curve_rows(comparison: Comparison, quantities: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Means and half widths of quantities, all if not given: one row per policy and round."""
    rows: list[dict[str, Any]] = []
    for policy in comparison.policies:
        curves = comparison.curves(policy)
        rounds = curves.pop("round")[0].astype(int).tolist()
        chosen = list(curves) if quantities is None else list(quantities)
        for index in rounds:
            estimates = {name: Estimate.of(curves[name][:, index]) for name in chosen}
            rows.append({"policy": policy, "round": index, **_columns(estimates)})
    return rows


def _columns(estimates: Mapping[str, Estimate]) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for name, estimate in estimates.items():
        columns |= {name: _number(estimate.mean), f"{name}_ci95": _number(estimate.half_width)}
    return columns


def _number(value: Any) -> float | None:
    """A plain number; None where it is not finite, which JSON and CSV cannot express."""
    return float(value) if math.isfinite(value) else None
