"""Pictures of SemSpaceFL's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from satfl_baselines.plot import draw_estimate, line_style, name_lines, side_by_side
from satfl_baselines.summary import Estimate

Line = tuple[Sequence[float], ...]


class Panel(NamedTuple):
    """One panel: title, axis labels and lines by name; a line is x, y and, if there are intervals, half widths."""

    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Line]


def draw_panels(panels: Sequence[Panel], title: str) -> Figure:
    """Draw panels of lines with 95 % intervals side by side."""
    figure = side_by_side(len(panels), [name for panel in panels for name in panel.lines])
    for axes, panel in zip(figure.axes, panels, strict=True):
        for index, (x, mean, *half_width) in enumerate(panel.lines.values()):
            estimate = Estimate(np.asarray(mean), np.asarray(half_width[0] if half_width else np.nan))
            draw_estimate(axes, np.asarray(x), estimate, marker="o", markersize=4, **line_style(index))
        axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
        name_lines(axes, panel.lines)
    figure.suptitle(title)
    return figure


def column(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """One column of some rows."""
    return [row[name] for row in rows]
