"""The picture of a comparison: the metric of every policy against rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from satfl_baselines.summary import OF, Comparison, Estimate
from satfl_env.printable import printable

# Okabe and Ito's colours for all kinds of colour vision, without yellow, which is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GAIN_COLOURS = {"unclustered": COLOURS[1], "individual": COLOURS[2]}
LINE_STYLES = ("-", "--", ":")
LABELS = {
    "balanced_accuracy": "Balanced accuracy",
    "score": "Score",
    "accuracy": "Accuracy",
    "psnr_db": "PSNR (dB)",
    "ms_ssim": "MS-SSIM",
}


def draw_curves(comparison: Comparison, title: str, quantities: Sequence[str] = ()) -> Figure:
    """Draw quantities, the primary metrics if not given, against rounds: means with bands of their 95 % intervals."""
    metrics = quantities or comparison.primary
    figure = Figure(figsize=(5.6 * len(metrics) + 2.4, 4.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, metric in zip(panels, metrics, strict=True):
        _draw_metric(panel, comparison, metric)
    panels[0].set_title(f"{printable(title)} (mean, 95 % interval)", fontsize=11, loc="left")
    legend(figure, comparison.policies)
    return figure


def legend(figure: Figure, names: Iterable[str]) -> None:
    """Name the lines of the first panel, also by names that Matplotlib would hide, which begin with `_`."""
    figure.legend(figure.axes[0].get_lines(), list(map(printable, names)), loc="outside right center", frameon=False)


def line_style(index: int) -> dict[str, Any]:
    """Colour and style of the line of a policy, by its place."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": LINE_STYLES[index // len(COLOURS) % len(LINE_STYLES)],
    }


def plain_panel(panel: Axes, lines: Literal["both", "x", "y"] = "both") -> None:
    """Faint lines behind what is drawn, across both axes or one, and no frame above and to the right."""
    panel.grid(axis=lines, color="0.9", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_metric(panel: Axes, comparison: Comparison, metric: str) -> None:
    for index, policy in enumerate(comparison.policies):
        curves = comparison.curves(policy)
        rounds, estimate = curves["round"][0], Estimate.of(curves[metric])
        style = line_style(index)
        panel.plot(rounds, estimate.mean, linewidth=1.8, **style)
        if np.isfinite(estimate.half_width).all():
            low, high = estimate.mean - estimate.half_width, estimate.mean + estimate.half_width
            panel.fill_between(rounds, low, high, color=style["color"], alpha=0.13, linewidth=0)
    panel.set_xlabel("Communication round")
    panel.set_ylabel(label(metric))
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.margins(x=0)
    plain_panel(panel)


def label(quantity: str) -> str:
    """What an axis of a quantity says."""
    metric, _, task = quantity.partition(OF)
    label = LABELS.get(metric, metric)
    return f"{label}, {printable(task)}" if task else label


def draw_gains(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the average gains of clustering at every value of every factor, with their 95 % intervals."""
    factors = list(dict.fromkeys(row["factor"] for row in rows))
    figure = Figure(figsize=(12, 6.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, -(-len(factors) // 2), sharey=True).flat
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
        panel.set_xlabel(factor)
        plain_panel(panel, lines="y")
    figure.supylabel("Gain of clustering (points)")
    figure.suptitle(f"Seeds: {rows[0]['seeds']} (mean, 95 % interval)", fontsize=11)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure
