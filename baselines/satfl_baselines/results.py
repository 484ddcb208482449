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

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from satfl_baselines.evaluate import Decide, Episode, Run
from satfl_baselines.qualified import describe, qualified_names
from satfl_baselines.summary import Comparison, Estimate
from satfl_env import __version__
from satfl_env.scenarios import Scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from satfl_env import RewardChoice

FORMAT = 3
MANIFEST = "manifest.json"
PART = ".part"
# Data sets may be moved: the manifest tells where they were last, and runs do not depend on it.
PLACES = {"scenario.data.data_dir"}


class ResultFolder:
    """The result folder of a comparison, new or of an earlier one to be continued.

    Own policies, parts and functions in the reward are known by their qualified names.

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
        identity, functions = _identity(scenario, parts, reward), qualified_names(own)
        earlier = _read_manifest(self.path) or {**identity, "policies": [], "seeds": []}
        known = earlier.get("own", {})
        _require_same(self.path, {**earlier, "own": functions | known}, {**identity, "own": known | functions})
        manifest = identity | {
            "policies": list(dict.fromkeys([*earlier["policies"], *policies])),
            "seeds": sorted({*earlier["seeds"], *seeds}),
            "own": known | functions,
        }
        (self.path / "runs").mkdir(parents=True, exist_ok=True)
        _write_json(self.path / MANIFEST, manifest)

    def has(self, run: Run) -> bool:
        """Whether a run is finished."""
        return self._run_path(run).exists()

    def load(self, run: Run) -> Episode:
        """The episode of a finished run."""
        records = _read_json(self._run_path(run))
        return [{name: math.nan if value is None else value for name, value in record.items()} for record in records]

    def save(self, run: Run, episode: Episode) -> None:
        """Keep the episode of a finished run."""
        records = [{name: _number(value) for name, value in record.items()} for record in episode]
        _write_json(self._run_path(run), records)

    def _run_path(self, run: Run) -> Path:
        # Not every system allows the colons of module:function in file names.
        return self.path / "runs" / f"{run.policy.replace(':', '.')}-{run.seed}.json"


def summarise(path: str | Path, comparison: Comparison) -> dict[str, Any]:
    """Write tables, curves and picture of a comparison into its result folder; returns what `summary.json` holds."""
    # Matplotlib takes a while to import, and most who import this package never draw.
    from satfl_baselines.plot import draw_curves

    path = Path(path)
    manifest = _read_json(path / MANIFEST)
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
    _write_json(path / "summary.json", summary)
    number = len(comparison.seeds)
    rows = [{"policy": policy, "seeds": number, **_columns(own)} for policy, own in estimates.items()]
    write_csv(path / "summary.csv", rows)
    write_csv(path / "curves.csv", curve_rows(comparison))
    write_png(path / "curves.png", draw_curves(comparison, f"{summary['scenario']}, seeds: {number}"))
    return summary


def _identity(scenario: Scenario, parts: Mapping[str, Any] | None, reward: RewardChoice | None) -> dict[str, Any]:
    """What all runs of a folder have in common."""
    return {
        "format": FORMAT,
        "version": __version__,
        "rounds": scenario.rounds.episode,
        "batches_per_epoch": scenario.training.batches_per_epoch,
        "parts": qualified_names(parts),
        "reward": None if reward is None else describe(reward),
        "scenario": scenario.model_dump(mode="json"),
    }


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a folder; None if the folder is new or empty, or no run was ever finished."""
    if not path.exists() or all(file.suffix == PART for file in path.iterdir()):
        return None
    manifest = _read_json(path / MANIFEST) if (path / MANIFEST).exists() else None
    if not isinstance(manifest, dict) or not {"format", "policies", "seeds"} <= manifest.keys():
        raise ValueError(f"folder {str(path)!r} is not empty and holds no comparison; choose a new or an empty one")
    return manifest if any((path / "runs").glob("*.json")) else None


def _require_same(path: Path, earlier: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    there, here = _flat({key: earlier.get(key) for key in identity}), _flat(identity)
    differing = [name for name in here | there if name not in PLACES and there.get(name) != here.get(name)]
    if differing:
        named = "; ".join(
            f"{name} is {_short(there.get(name))} there and {_short(here.get(name))} here" for name in differing[:4]
        )
        more = f"; and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise ValueError(f"folder {str(path)!r} belongs to another comparison: {named}{more}")


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows that have the same columns as CSV, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write_whole(path, text.getvalue().encode())


def write_png(path: Path, figure: Figure) -> None:
    """Write a picture, whole or not at all."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    _write_whole(path, picture.getvalue())


def _columns(estimates: Mapping[str, Estimate]) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for name, estimate in estimates.items():
        columns |= {name: _number(estimate.mean), f"{name}_ci95": _number(estimate.half_width)}
    return columns


def _number(value: Any) -> float | None:
    """A plain number; None where it is not finite, which JSON and CSV cannot express."""
    return float(value) if math.isfinite(value) else None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"file {str(path)!r} is damaged ({error}); delete it to have it made again") from error


def _write_json(path: Path, content: Any) -> None:
    _write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half written."""
    part = path.with_name(path.name + PART)
    part.write_bytes(content)
    os.replace(part, path)
