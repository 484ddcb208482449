"""The picture of the field: the metric over time and over energy."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from satfl_baselines.field.table import S_PER_HOUR, curves_of, metric_of
from satfl_baselines.plot import label, legend, line_style, plain_panel
from satfl_baselines.summary import Comparison


def draw_field(played: Mapping[str, Comparison], title: str) -> Figure:
    """Draw each system's metric, mean over seeds, over simulated hours and over all that satellites spent, in kJ."""
    figure = Figure(figsize=(14, 5.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    over_time, over_energy = figure.subplots(1, 2, sharey=True)
    for index, comparison in enumerate(played.values()):
        curves = curves_of(comparison)
        metric = curves[metric_of(comparison)].mean(axis=0)
        style = line_style(index)
        over_time.plot(curves["time_s"].mean(axis=0) / S_PER_HOUR, metric, linewidth=1.4, **style)
        over_energy.plot(curves["energy_j"].cumsum(axis=1).mean(axis=0) / 1e3, metric, linewidth=1.4, **style)
    for panel, heading in ((over_time, "Simulated time (h)"), (over_energy, "Energy of all satellites (kJ)")):
        panel.set_xlabel(heading)
        plain_panel(panel)
    over_time.set_ylabel(label(metric_of(next(iter(played.values())))))
    figure.suptitle(title, fontsize=11)
    legend(figure, played)
    return figure
