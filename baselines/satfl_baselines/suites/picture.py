"""The picture of an evaluation: interquartile means beside performance profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from satfl_baselines.arrays import FloatArray
from satfl_baselines.plot import label, line_style
from satfl_baselines.statistics import Interval
from satfl_baselines.suites.standings import Standing
from satfl_env.printable import printable


def draw_standings(
    found: Sequence[Standing], thresholds: FloatArray, shares: Mapping[str, Interval], title: str, quantity: str
) -> Figure:
    """Draw standings from the best to the worst, and in the same colours the share of runs above each threshold."""
    figure = Figure(figsize=(11.5, 1.6 + 0.34 * max(len(found), 8)), layout="constrained")
    means, profile = figure.subplots(1, 2, width_ratios=(1.25, 1))
    for place, standing in enumerate(found):
        style = line_style(place)
        value, low, high = (float(one) for one in standing.iqm)
        means.plot([low, high], [place, place], linewidth=3, alpha=0.45, color=style["color"])
        means.plot(value, place, marker="o", color=style["color"])
        share = shares[standing.policy]
        profile.plot(thresholds, share.value, linewidth=1.6, **style)
        profile.fill_between(thresholds, share.low, share.high, alpha=0.1, linewidth=0, color=style["color"])
    means.set_yticks(range(len(found)), [printable(standing.policy) for standing in found])
    means.invert_yaxis()
    means.set_xlabel(f"{label(quantity)}: interquartile mean, 95 % interval")
    means.set_title(printable(title))
    profile.set_xlabel(label(quantity))
    profile.set_ylabel("share of runs above")
    return figure
