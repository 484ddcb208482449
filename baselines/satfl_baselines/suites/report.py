"""What an evaluation writes: standings, profiles and their picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from satfl_baselines.arrays import FloatArray
from satfl_baselines.files import expressible, one_writer, write_figure, write_table
from satfl_baselines.statistics import Interval, interval, performance_profile
from satfl_baselines.suites.finals import Finals
from satfl_baselines.suites.standings import Standing, standings
from satfl_env.drawing import DEFAULT_FORMATS, own_style

# In place of a scenario's name: scores over all of a suite's scenarios.
ALL = "all"
THRESHOLDS = 101


def all_standings(finals: Finals, rules: Sequence[str], scale: tuple[str, str] | None) -> dict[str, list[Standing]]:
    """Standings in each scenario by its metric and, with a scale, by scores over all scenarios, which come first.

    Args:
        finals: What the policies got.
        rules: The policies of which the best is compared with.
        scale: The policies whose scores are 0 and 1, if there are scores.
    """
    over_all = {} if scale is None else {ALL: standings(finals.scores(*scale), rules)}
    return over_all | {scenario: standings(finals.of(scenario), rules) for scenario in finals.scenarios}


def profiles(values: Mapping[str, FloatArray]) -> tuple[FloatArray, Mapping[str, Interval]]:
    """Performance profiles of policies: thresholds from the lowest to the highest value, and shares above each."""
    everything = np.concatenate([own.ravel() for own in values.values()])
    thresholds = np.linspace(everything.min(), everything.max(), THRESHOLDS)
    return thresholds, {
        policy: interval(lambda scores: performance_profile(scores, thresholds), own) for policy, own in values.items()
    }


def write_report(
    out: Path,
    found: Mapping[str, Sequence[Standing]],
    finals: Finals,
    scale: tuple[str, str] | None,
    name: str,
    formats: Sequence[str] = DEFAULT_FORMATS,
) -> None:
    """Write `standings.csv`, and of the first standings `profiles.csv` and the picture `standings`.

    Args:
        out: The folder.
        found: What `all_standings` gave for the same finals and scale.
        finals: What the policies got.
        scale: The policies whose scores are 0 and 1, if there are scores.
        name: Of what was played.
        formats: Of the picture.

    Raises:
        OSError: If it cannot be written.
    """
    first, *_ = found
    quantity = "score" if scale else finals.metrics[first]
    thresholds, shares = profiles(finals.scores(*scale) if scale else finals.of(first))
    with one_writer(out), own_style():
        # Matplotlib takes a while to import, and most who import this package never draw.
        from satfl_baselines.suites.picture import draw_standings

        write_table(out / "standings.csv", standing_rows(found))
        write_table(out / "profiles.csv", list(_profile_rows(thresholds, shares)))
        title = f"{name}, seeds: {len(finals.seeds)}"
        picture = draw_standings(found[first], thresholds, shares, title, quantity)
        write_figure(out / "standings", picture, formats)


def standing_rows(found: Mapping[str, Sequence[Standing]]) -> list[dict[str, Any]]:
    """One row per scenario and policy; what is not finite is left empty."""
    return [
        {"scenario": scenario, **expressible(standing.row())} for scenario, own in found.items() for standing in own
    ]


def _profile_rows(thresholds: FloatArray, shares: Mapping[str, Interval]) -> Iterable[dict[str, Any]]:
    for policy, share in shares.items():
        for threshold, value, low, high in zip(thresholds, *share, strict=True):
            yield expressible(
                {
                    "policy": policy,
                    "threshold": float(threshold),
                    "share_above": float(value),
                    "low": float(low),
                    "high": float(high),
                }
            )
