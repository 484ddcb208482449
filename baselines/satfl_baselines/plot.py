"""The picture of a comparison: the metric of every policy against rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation
from scipy.optimize import isotonic_regression

from satfl_baselines.arrays import FloatArray
from satfl_baselines.summary import OF, Comparison, Estimate
from satfl_env.drawing import COLOURS
from satfl_env.printable import printable
from satfl_env.quantities import quantity

GAIN_COLOURS = {"unclustered": COLOURS[1], "individual": COLOURS[2]}
LINE_STYLES = ("-", "--", ":")
# Of names beside their lines, in points, and how far apart their middles are.
NAME_PT, NAME_PITCH_PT, NAME_OFFSET_PT = 9.0, 11.5, 14.0
ROUND = "communication round"


def draw_curves(comparison: Comparison, title: str, quantities: Sequence[str] = ()) -> Figure:
    """Draw quantities, the primary metrics if not given, against rounds: means with bands of their 95 % intervals."""
    metrics = quantities or comparison.primary
    figure = side_by_side(len(metrics), comparison.policies)
    for panel, metric in zip(figure.axes, metrics, strict=True):
        _draw_metric(panel, comparison, metric)
        name_lines(panel, comparison.policies)
    figure.suptitle(f"{printable(title)} (mean, 95 % interval)")
    return figure


def side_by_side(panels: int, names: Iterable[str], *, width: float = 4.4, height: float = 4.4) -> Figure:
    """Empty panels in a row, of some width and least height in inches, with room for names beside the lines of each."""
    lengths = [len(printable(name)) for name in names]
    width += (NAME_OFFSET_PT + 0.6 * NAME_PT * max(lengths)) / 72
    figure = Figure(
        figsize=(panels * width, max(height, 1.2 + NAME_PITCH_PT / 72 * len(lengths))), layout="constrained"
    )
    figure.subplots(1, panels)
    return figure


def name_lines(panel: Axes, names: Iterable[str]) -> None:
    """Write the name of each line beside its end, in its colour; thin lines lead to names that had to give way.

    Call it when everything else is drawn and the limits of the panel stand.
    """
    figure = panel.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # which lays it out
    height_pt = panel.bbox.height / figure.dpi * 72
    lines = panel.get_lines()
    ends = [_end(panel, line.get_xydata()) for line in lines]
    heights = panel.transAxes.inverted().transform(panel.transData.transform(ends))[:, 1]
    beside = panel.transAxes + ScaledTranslation(NAME_OFFSET_PT / 72, 0, figure.dpi_scale_trans)
    for line, name, end, height in zip(lines, names, ends, spread(heights, NAME_PITCH_PT / height_pt), strict=True):
        leader = {"color": line.get_color(), "linestyle": line.get_linestyle(), "linewidth": 0.8, "alpha": 0.7}
        panel.annotate(
            printable(name),
            end,
            (1.0, height),
            textcoords=beside,
            fontsize=NAME_PT,
            color=line.get_color(),
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "shrinkA": 0, "shrinkB": 0, "relpos": (0.0, 0.5), **leader},
        )


def spread(heights: FloatArray, pitch: float) -> FloatArray:
    """The places in [0, 1] nearest to some heights that are at least a pitch apart, or less if there are too many."""
    order = np.argsort(heights, kind="stable")
    steps = min(pitch, 1 / max(len(heights) - 1, 1)) * np.arange(len(heights))
    places = np.empty(len(heights))
    # The least squares under an order and bounds: the solution without bounds, cut off at them.
    places[order] = np.clip(isotonic_regression(heights[order] - steps).x, 0.0, 1.0 - steps[-1]) + steps
    return places


def _end(panel: Axes, points: Any) -> tuple[float, float]:
    """The last point of a line that is a number, or the corner of the panel."""
    there = points[np.isfinite(points).all(axis=1)]
    x, y = there[-1] if len(there) else (panel.get_xlim()[1], panel.get_ylim()[0])
    return float(x), float(y)


def line_style(index: int) -> dict[str, Any]:
    """Colour and style of the line of a policy, by its place."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": LINE_STYLES[index // len(COLOURS) % len(LINE_STYLES)],
    }


def draw_estimate(panel: Axes, x: FloatArray, estimate: Estimate, scale: float = 1.0, **style: Any) -> None:
    """Draw means as a line and, if there are several seeds, their 95 % intervals as a band."""
    mean, half_width = estimate.mean * scale, estimate.half_width * scale
    panel.plot(x, mean, **style)
    if np.isfinite(half_width).all():
        panel.fill_between(x, mean - half_width, mean + half_width, color=style["color"], alpha=0.13, linewidth=0)


def _draw_metric(panel: Axes, comparison: Comparison, metric: str) -> None:
    for index, policy in enumerate(comparison.policies):
        curves = comparison.curves(policy)
        estimate = Estimate.of(curves[metric])
        draw_estimate(panel, curves["round"][0], estimate, quantity(metric).factor, **line_style(index))
    panel.set_xlabel(ROUND)
    panel.set_ylabel(label(metric))
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.margins(x=0)


def label(name: str) -> str:
    """What an axis of a recorded quantity says."""
    metric, _, task = name.partition(OF)
    shown = quantity(metric).label
    return f"{shown}, {printable(task)}" if task else shown


def draw_gains(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the average gains of clustering at every value of every factor, with their 95 % intervals."""
    factors = list(dict.fromkeys(row["factor"] for row in rows))
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    panels = figure.subplots(2, -(-len(factors) // 2), sharey=True).ravel()
    for panel in panels[len(factors) :]:
        panel.set_visible(False)
    for panel, factor in zip(panels, factors, strict=False):
        own = [row for row in rows if row["factor"] == factor]
        for shift, (other, colour) in zip((-0.08, 0.08), GAIN_COLOURS.items(), strict=True):
            panel.errorbar(
                np.arange(len(own)) + shift,
                [row[f"over_{other}"] for row in own],
                yerr=[row[f"over_{other}_ci95"] for row in own],
                color=colour,
                marker="o",
                capsize=3,
                label=f"over {other}",
            )
        panel.axhline(0.0, color="0.4", linewidth=0.8)
        panel.set_xticks(range(len(own)), [row["value"] for row in own])
        panel.set_xlabel(label(factor))
        panel.grid(visible=False, axis="x")
    figure.supylabel("gain of clustering (points of accuracy)")
    figure.suptitle(f"Seeds: {rows[0]['seeds']} (mean, 95 % interval)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
