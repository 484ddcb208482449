"""The folder of a comparison: what was asked for, every finished run, and the summary.

    manifest.json               scenario, own parts, rounds, batches per epoch, version; policies and seeds asked for
                                so far, and the functions behind your own policies
    scenario.yaml               the scenario with all its values, to read and to play
    runs/<policy>-<seed>.json   one finished episode each: its records, the first with a seal of them and of what
                                they belong to
    summary.csv, summary.json   outcomes of each policy: means and half widths of their 95 % intervals
    curves.csv, .json, .png     the same round by round; pictures in other formats if asked for
    .lock                       locked by the one who writes

Files appear whole or not at all, so that an interrupted comparison continues where it stopped, and several processes
can fill one folder. More policies or seeds can be added to a folder later, if everything else is the same; the summary
is that of the last request.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from pydantic import ConfigDict, ValidationError
from typing_extensions import TypedDict

from satfl_baselines.evaluate import Decide, Episode, Run
from satfl_baselines.files import (
    damaged,
    is_new,
    of_another_version,
    one_writer,
    read_json,
    write_csv,
    write_figure,
    write_json,
    write_table,
)
from satfl_baselines.identity import depended_on, identity, read_record, require_same, write_record
from satfl_baselines.qualified import describe
from satfl_baselines.stored import read_episode, write_episode
from satfl_baselines.summary import Comparison, Estimate
from satfl_env.drawing import DEFAULT_FORMATS, own_style
from satfl_env.scenarios import Scenario
from satfl_env.scenarios.explain import problem_lines

if TYPE_CHECKING:
    from satfl_env import RewardChoice

FORMAT = 6
MANIFEST, RUNS = "manifest.json", "runs"
LONGEST_NAME = 100


class _Training(TypedDict):
    round_share: float


class _Scenario(TypedDict):
    name: str
    training: _Training


class Manifest(TypedDict):
    """What the manifest of a folder holds at least."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    format: int
    version: str
    rounds: int
    batches_per_epoch: int | None
    parts: Any
    reward: Any
    scenario: _Scenario
    policies: list[str]
    seeds: list[int]
    own: dict[str, Any]


# What can be added to; all else is the record that results belong to.
ASKED_FOR = {"policies", "seeds", "own"}
# What the summary takes from it as it is.
FACTS = ("rounds", "batches_per_epoch", "version", "parts", "reward")


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
        self.path, self._scenario = Path(path), scenario
        self._functions = describe(own or {})
        self._here = identity(scenario, format=FORMAT, rounds=scenario.rounds.episode, parts=parts or {}, reward=reward)
        self._names: dict[Path, list[list[str]]] = {}
        if not is_new(self.path):
            self._manifest()  # what belongs to something else is left alone, not even locked
        with one_writer(self.path):
            earlier: Mapping[str, Any] = self._manifest() or {"policies": [], "seeds": [], "own": {}}
            manifest = self._here | {
                "policies": list(dict.fromkeys([*earlier["policies"], *policies])),
                "seeds": sorted({*earlier["seeds"], *seeds}),
                "own": earlier["own"] | self._functions,
            }
            write_record(self.path / MANIFEST, manifest)
            (self.path / RUNS).mkdir(exist_ok=True)

    def has(self, run: Run) -> bool:
        """Whether a run is finished."""
        return self._run_path(run).exists()

    def load(self, run: Run) -> Episode:
        """The episode of a finished run.

        Raises:
            ValueError: If its file is damaged, or holds another episode; the file is named.
        """
        path = self._run_path(run)
        episode = read_episode(path, run, self._scenario, self._belongs(run))
        self._names[path] = names = [list(episode[0]), list(episode[-1])]
        other, others = next(iter(self._names.items()))
        if names != others:
            raise damaged(path, f"it records other quantities than {other.name}")
        return episode

    def save(self, run: Run, episode: Episode) -> None:
        """Keep the episode of a finished run.

        Raises:
            ValueError: If the folder was given to another comparison meanwhile.
        """
        with one_writer(self.path):
            if self._manifest() is None:
                raise ValueError(f"folder {str(self.path)!r} was deleted or given to another comparison meanwhile")
            write_episode(self._run_path(run), episode, self._belongs(run))

    def _manifest(self) -> Manifest | None:
        """The manifest of the folder; None if it is new or empty, or of another comparison that finished no run."""
        there = _read_manifest(self.path)
        if there is None:
            return None
        here = self._here | {"own": there["own"] | self._functions}
        try:
            require_same(
                self.path,
                "comparison",
                {key: there.get(key) for key in self._here} | {"own": self._functions | there["own"]},
                here,
            )
        except ValueError:
            if any((self.path / RUNS).glob("*.json")):
                raise
            return None
        return there

    def _belongs(self, run: Run) -> dict[str, Any]:
        return _belongs(self._here, self._functions, run)

    def _run_path(self, run: Run) -> Path:
        return _run_path(self.path, run)


class Finished(NamedTuple):
    """What a result folder holds: its record, without policies and seeds, and its finished episodes."""

    record: Mapping[str, Any]
    episodes: Mapping[Run, Episode]


def holds_comparison(path: Path) -> bool:
    """Whether a folder is that of a comparison, as `finished` reads it."""
    return (path / MANIFEST).is_file()


def finished(path: str | Path) -> Finished:
    """Read a result folder; your own policies and parts are not needed for that.

    Raises:
        ValueError: If it holds no comparison, or a file in it is damaged; the message names it.
        OSError: If it cannot be read.
    """
    path = Path(path)
    manifest = _read_manifest(path)
    if manifest is None:
        raise ValueError(f"folder {str(path)!r} holds no comparison")
    try:
        scenario = Scenario.model_validate(manifest["scenario"])
    except ValidationError as error:
        raise of_another_version(path / MANIFEST, problem_lines(error)[0], manifest["version"]) from error
    record = {name: value for name, value in manifest.items() if name not in ASKED_FOR}
    runs = [Run(policy, seed) for policy in manifest["policies"] for seed in manifest["seeds"]]
    return Finished(
        record,
        {
            run: read_episode(file, run, scenario, _belongs(record, manifest["own"], run))
            for run in runs
            if (file := _run_path(path, run)).exists()
        },
    )


def _belongs(record: Mapping[str, Any], functions: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """What an episode belongs to."""
    return {**depended_on(record), **run._asdict(), "function": functions.get(run.policy)}


def _run_path(path: Path, run: Run) -> Path:
    return path / RUNS / f"{_file_name(run.policy)}-{run.seed}.json"


def _file_name(policy: str) -> str:
    """A name that every system allows, another one for every policy.

    Not every system allows the colons of module:function, slashes, or long names, or tells capitals from small letters.
    """
    name = quote(policy, safe="", errors="surrogatepass")
    if len(name) <= LONGEST_NAME and policy == policy.lower():
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(policy.encode(errors='surrogatepass')).hexdigest()[:12]}"


def summarise(path: str | Path, comparison: Comparison, formats: Sequence[str] = DEFAULT_FORMATS) -> dict[str, Any]:
    """Write tables, curves and picture of a comparison into its result folder.

    Args:
        path: The folder that `compare` filled.
        comparison: What it returned.
        formats: Of the picture: `png`, `pdf` and `svg`.

    Returns:
        What `summary.json` holds.

    Raises:
        OSError: If it is not the folder of a comparison, or cannot be written.
    """
    path = Path(path)
    estimates = {policy: comparison.estimates(policy) for policy in comparison.policies}
    manifest: Mapping[str, Any] = read_json(path / MANIFEST, Manifest)
    summary = {
        "scenario": manifest["scenario"]["name"],
        **{key: manifest[key] for key in FACTS},
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
    number = len(comparison.seeds)
    rows = [{"policy": policy, "seeds": number, **_columns(own)} for policy, own in estimates.items()]
    with one_writer(path), own_style():
        # Matplotlib takes a while to import, and most who import this package never draw.
        from satfl_baselines.plot import draw_curves

        write_json(path / "summary.json", summary)
        write_csv(path / "summary.csv", rows)
        write_table(path / "curves.csv", curve_rows(comparison))
        write_figure(path / "curves", draw_curves(comparison, f"{summary['scenario']}, seeds: {number}"), formats)
    return summary


def _read_manifest(path: Path) -> Manifest | None:
    """The manifest of a folder; None if the folder is new or empty."""
    manifest: Manifest | None = None if is_new(path) else read_record(path / MANIFEST, "comparison", Manifest)
    return manifest


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
