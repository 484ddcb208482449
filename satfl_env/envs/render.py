"""Renderings of a round: an image drawn with Matplotlib, or a text table."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from satfl_env.envs.frame import INK, MUTED, Frame
from satfl_env.envs.globe_map import ASPECT, draw_globe_map
from satfl_env.envs.panels import panels
from satfl_env.envs.picture_size import PictureSize
from satfl_env.envs.planar_map import draw_planar_map
from satfl_env.orbits import ConstellationScene
from satfl_env.quantities import quantity
from satfl_env.simulation import Outcome

# In inches: the line above everything, the least height of panels below a map with the text around them, and that text.
_TITLE, _PANELS = 0.46, 1.8
_LEFT, _RIGHT, _ABOVE, _BELOW, _BETWEEN = 0.42, 0.15, 0.34, 0.46, 0.5
# Below a map of the plane, in inches.
_LEGEND = 0.4
# How much wider than it is a map of the globe may be drawn to fill the picture, and the share of panels beside a plane.
_STRETCH, _SHARE = 1.12, 0.36


def draw(frame: Frame, size: PictureSize) -> NDArray[np.uint8]:
    """A map of the round, the test metric of the satellites' models, and their batteries, (H, W, 3)."""
    # A canvas of its own instead of pyplot: no global figures, no display needed.
    figure = Figure(figsize=size.inches, dpi=size.dpi, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    width, height = size.inches
    line = 1 - 0.3 / height
    figure.text(0.15 / width, line, frame.title, fontsize=13, fontweight="bold", color=INK)
    figure.text(1 - 0.15 / width, line, frame.date, fontsize=10, color=MUTED, horizontalalignment="right")
    (_draw_globe if isinstance(frame.scene, ConstellationScene) else _draw_plane)(figure, frame)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _draw_globe(figure: Figure, frame: Frame) -> None:
    """The map as wide as the picture, if that leaves room, and panels in a row below it."""
    assert isinstance(frame.scene, ConstellationScene)
    width, height = figure.get_size_inches()
    map_height = min(width / ASPECT, height - _TITLE - _PANELS)
    map_width = min(width, map_height * ASPECT * _STRETCH)
    below = height - _TITLE - map_height
    draw_globe_map(_axes(figure, (width - map_width) / 2, below, map_width, map_height), frame, frame.scene)
    shown = panels(frame)
    each = (width - _LEFT - _RIGHT - (len(shown) - 1) * _BETWEEN) / len(shown)
    for column, panel in enumerate(shown):
        panel(_axes(figure, _LEFT + column * (each + _BETWEEN), _BELOW, each, below - _BELOW - _ABOVE), frame)


def _draw_plane(figure: Figure, frame: Frame) -> None:
    """The map to the left, panels in a column to the right."""
    width, height = figure.get_size_inches()
    column = _SHARE * width
    draw_planar_map(_axes(figure, 0.1, _LEGEND, width - column - 0.2, height - _TITLE - _LEGEND), frame)
    shown = panels(frame)
    row = (height - _TITLE) / len(shown)
    for place, panel in enumerate(reversed(shown)):
        axes = _axes(
            figure, width - column + _LEFT, place * row + _BELOW, column - _LEFT - _RIGHT, row - _BELOW - _ABOVE
        )
        panel(axes, frame)


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    whole_width, whole_height = figure.get_size_inches()
    return figure.add_axes((left / whole_width, bottom / whole_height, width / whole_width, height / whole_height))


def describe(frame: Frame) -> str:
    """The round as a text table, one line per satellite."""
    metric = quantity(frame.metric)
    name = f"{metric.label:>18}"
    values = frame.satellite_metric * metric.factor
    heading = f"{frame.title}  |  mean {metric.label} {frame.history[-1] * metric.factor:.3f}"
    if frame.last_round is None:
        rows = [f"{satellite:>9} {value:>18.3f}" for satellite, value in enumerate(values)]
        return "\n".join([heading, f"satellite {name}", *rows])
    decision, report = frame.last_round
    columns = f"satellite gateway cluster  CPU GHz epochs energy J weight {name}  outcome"
    rows = [
        f"{satellite:>9} {gateway if decision.associated[satellite] else '-':>7} {decision.cluster[satellite]:>7} "
        f"{decision.cpu_frequency[satellite] / 1e9:>8.3f} {report.epochs[satellite]:>6} "
        f"{report.energy_j[satellite]:>8.1f} {report.weights[satellite]:>6.3f} "
        f"{values[satellite]:>18.3f}  {_outcome_name(report.outcome[satellite])}"
        for satellite, gateway in enumerate(decision.association)
    ]
    return "\n".join([heading, columns, *rows])


def _outcome_name(outcome: int) -> str:
    return Outcome(outcome).name.lower().replace("_", " ")
