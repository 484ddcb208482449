"""The picture of the field: the metric over time and over energy."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from satfl_baselines.field.table import curves_of, metric_of
from satfl_baselines.plot import draw_estimate, label, line_style, name_lines, side_by_side
from satfl_baselines.summary import Comparison, Estimate
from satfl_env.quantities import quantity


def draw_field(played: Mapping[str, Comparison], title: str) -> Figure:
    """Draw each system's metric with 95 % intervals over simulated time and over all that satellites spent, means.

    Names stand in between; dots are where systems end.
    """
    figure = side_by_side(2, played, width=6.0, height=5.4)
    over_time, over_energy = figure.axes
    time, energy = quantity("time_s"), quantity("energy_j")
    for index, comparison in enumerate(played.values()):
        curves = curves_of(comparison)
        metric = Estimate.of(curves[metric_of(comparison)])
        style = {**line_style(index), "linewidth": 1.4}
        draw_estimate(over_time, curves["time_s"].mean(axis=0) * time.factor, metric, **style)
        spent = curves["energy_j"].cumsum(axis=1).mean(axis=0) * energy.factor
        draw_estimate(over_energy, spent, metric, **style)
        over_energy.plot(spent[-1], metric.mean[-1], "o", markersize=4, color=style["color"], clip_on=False)
    over_time.set_xlabel(time.label)
    over_energy.set_xlabel(f"{energy.name} of all satellites ({energy.unit})")
    for panel in figure.axes:
        panel.margins(x=0)
        panel.set_xlim(left=0)
    over_time.set_ylabel(label(metric_of(next(iter(played.values())))))
    name_lines(over_time, played)
    figure.suptitle(title)
    return figure
