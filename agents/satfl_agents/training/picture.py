"""The picture of a training run: how good each learner was on the validation seeds, against rounds of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from satfl_agents.training.run_folder import VALIDATION
from satfl_baselines.plot import label, line_style, name_lines, side_by_side
from satfl_env.quantities import quantity


def draw_learning(folders: Mapping[str, Path], metric: str, title: str) -> Figure:
    """Draw the metric that judges of each learner, and a line for the best of the rules.

    Args:
        folders: Folders of finished runs of one scenario, by name of the learner.
        metric: Name of the metric.
        title: What stands above.
    """
    names = [*folders, "best rule"]
    figure = side_by_side(1, names, width=6.4)
    (panel,) = figure.axes
    for index, folder in enumerate(folders.values()):
        judged = np.genfromtxt(folder / VALIDATION, delimiter=",", names=True)
        panel.plot(judged["rounds"], judged[metric] * quantity(metric).factor, **line_style(index))
    best_rule = float(judged[metric][0] - judged["gap"][0]) * quantity(metric).factor
    panel.plot(judged["rounds"][[0, -1]], [best_rule, best_rule], color="0.3", linewidth=1.2, linestyle="--")
    panel.set_xlabel("rounds of training")
    panel.set_ylabel(f"{label(metric)} on validation seeds")
    panel.set_title(title)
    panel.margins(x=0)
    name_lines(panel, names)
    return figure
