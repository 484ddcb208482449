"""The leaderboard of a suite: everybody who entered beside the reference policies, as a page and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from satfl_baselines.files import expressible, write_table, write_whole
from satfl_baselines.suites.finals import FILE, Finals, read_finals
from satfl_baselines.suites.standings import Standing, standings
from satfl_baselines.suites.suite import Suite, recorded_file
from satfl_env.quantities import quantity
from satfl_env.scenarios.errors import prefixed

NAME = "leaderboard"


def gathered(suite: Suite, files: Sequence[Path]) -> Finals:
    """The recorded results of a suite's reference policies, and those of some files or folders of evaluations.

    Raises:
        ValueError: If nothing is recorded and no file is given, a file is not there, of another suite or of other
            seeds, or a policy is in two; the file is named.
        OSError: If a file cannot be read.
    """
    recorded = recorded_file(suite.name)
    paths = [*([recorded] if recorded.exists() else []), *map(_results_file, files)]
    if not paths:
        raise ValueError(f"no results of suite {suite.name!r} are recorded; name a folder of `satfl evaluate --suite`")
    finals = read_finals(paths[0], suite)
    for path in paths[1:]:
        entry = read_finals(path, suite)
        with prefixed(f"file {str(path)!r}: "):
            finals = _entered(finals, entry, suite)
    return finals


def _results_file(path: Path) -> Path:
    """The file of results that a path leads to, itself or as a folder."""
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        raise ValueError(f"there is no {str(file)!r}; name a result folder of `satfl evaluate --suite`, or its {FILE}")
    return file


def _entered(finals: Finals, entry: Finals, suite: Suite) -> Finals:
    twice = entry.values.keys() & finals.values.keys() - set(suite.references)
    if twice:
        raise ValueError(f"policy {min(twice)!r} was entered already; give one of the two another name")
    return finals.joined(entry)


def write_leaderboard(out: Path, suite: Suite, finals: Finals) -> None:
    """Write `leaderboard.md` and `leaderboard.csv` into a folder."""
    found = standings(finals.scores(suite.zero, suite.one), suite.references)
    rows = [_row(place, standing, suite, finals) for place, standing in enumerate(found, start=1)]
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / f"{NAME}.csv", rows)
    write_whole(out / f"{NAME}.md", _page(found, suite, finals).encode())


def _row(place: int, standing: Standing, suite: Suite, finals: Finals) -> dict[str, Any]:
    means = zip(finals.scenarios, finals.values[standing.policy].mean(axis=0).tolist(), strict=True)
    numbers = {**{name: value for name, value in standing.row().items() if name != "policy"}, **dict(means)}
    return {
        "place": place,
        "policy": standing.policy,
        "kind": _kind(standing.policy, suite, finals),
        "training_rounds": finals.training_rounds.get(standing.policy),
        "version": finals.versions[standing.policy],
        "seeds": len(finals.seeds),
        # Processors differ in the last digits, which the page in the documentation must not.
        **expressible(
            {name: round(value, 6) if isinstance(value, float) else value for name, value in numbers.items()}
        ),
    }


def _kind(policy: str, suite: Suite, finals: Finals) -> str:
    rounds = finals.training_rounds.get(policy)
    if rounds is None:
        return "rule"
    return f"learned, {suite.budget(rounds) or 'unlimited'}"


def _page(found: Sequence[Standing], suite: Suite, finals: Finals) -> str:
    best = found[0].best
    rows = []
    for place, standing in enumerate(found, start=1):
        beside = ("best reference", "")
        if standing.policy != best:
            beside = (f"{standing.difference:+.3f}", f"{standing.win_rate:.0%}")
        kind = _kind(standing.policy, suite, finals)
        rows.append([str(place), f"`{standing.policy}`", kind, f"{standing.mean:.3f}", f"{standing.iqm:.3f}", *beside])
    means = [
        [f"`{standing.policy}`", *(f"{mean:.3f}" for mean in finals.values[standing.policy].mean(axis=0))]
        for standing in found
    ]
    metrics = dict.fromkeys(finals.metrics.values())
    page = resources.files("satfl_baselines.suites").joinpath(f"{NAME}.md").read_text(encoding="utf-8")
    return page.format(
        suite=suite.name,
        checksum=suite.digest,
        seeds=len(finals.seeds),
        of=suite.seeds,
        zero=suite.zero,
        one=suite.one,
        best=best,
        table=_table(["", "policy", "kind", "score: mean", "score: IQM", "difference", "wins"], rows),
        metrics=", ".join(quantity(metric).label for metric in metrics),
        scenarios=_table(["policy", *(f"`{name}`" for name in finals.scenarios)], means),
        budgets=", ".join(f"{name} (at most {rounds:,})" for name, rounds in suite.budgets.items()),
        file=FILE,
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
