"""The picture of a training run: how good each learner was on the validation seeds, against rounds of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from satfl_agents.training.run_folder import VALIDATION
from satfl_baselines.plot import label, legend, line_style, plain_panel


def draw_learning(folders: Mapping[str, Path], metric: str, title: str) -> Figure:
    """Draw the metric that judges of each learner, and a line for the best of the rules.

    Args:
        folders: Folders of finished runs of one scenario, by name of the learner.
        metric: Name of the metric.
        title: What stands above.
    """
    figure = Figure(figsize=(8, 4.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for index, folder in enumerate(folders.values()):
        judged = np.genfromtxt(folder / VALIDATION, delimiter=",", names=True)
        panel.plot(judged["rounds"], judged[metric], linewidth=1.8, **line_style(index))
    panel.axhline(float(judged[metric][0] - judged["gap"][0]), color="0.3", linewidth=1.2, linestyle="--")
    panel.set_xlabel("Rounds of training")
    panel.set_ylabel(f"{label(metric)} on validation seeds")
    panel.set_title(title, fontsize=11, loc="left")
    panel.margins(x=0)
    plain_panel(panel)
    legend(figure, [*folders, "best rule"])
    return figure
