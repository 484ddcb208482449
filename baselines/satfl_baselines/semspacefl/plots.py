"""Pictures of SemSpaceFL's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from satfl_baselines.plot import COLOURS, legend, plain_panel

Line = tuple[Sequence[float], ...]


class Panel(NamedTuple):
    """One panel: title, axis labels and lines by name; a line is x, y and, if there are intervals, half widths."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Line]


def draw_panels(panels: Sequence[Panel], title: str) -> Figure:
    """Draw panels of lines with 95 % intervals side by side, with one legend."""
    figure = Figure(figsize=(5.6 * len(panels) + 2.4, 4.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for colour, (x, y, *half_width) in zip(COLOURS, panel.lines.values(), strict=False):
            axes.plot(x, y, color=colour, marker="o", markersize=4, linewidth=1.6)
            if half_width and np.isfinite(half_width[0]).all():
                low, high = np.subtract(y, half_width[0]), np.add(y, half_width[0])
                axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
        plain_panel(axes)
    figure.suptitle(title, fontsize=11)
    legend(figure, panels[0].lines)
    return figure


def column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """One column of some rows."""
    return [row[name] for row in rows]
