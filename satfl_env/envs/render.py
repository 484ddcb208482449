"""Renderings of a round: an image drawn with Matplotlib, or a text table."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from satfl_env.envs.frame import FAINT, INK, MOST_NUMBERED, MUTED, Frame
from satfl_env.envs.globe_map import draw_globe_map
from satfl_env.envs.planar_map import draw_planar_map
from satfl_env.orbits import ConstellationScene
from satfl_env.simulation import Outcome


def draw(frame: Frame) -> NDArray[np.uint8]:
    """A map of the round and the test metrics of the satellites' models, (H, W, 3)."""
    # A canvas of its own instead of pyplot: no global figures, no display needed.
    on_globe = isinstance(frame.scene, ConstellationScene)
    figure = Figure(figsize=(11.2, 7.9 if on_globe else 6.4), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    if isinstance(frame.scene, ConstellationScene):
        figure.text(0.012, 0.965, frame.title, fontsize=14, fontweight="bold", color=INK)
        draw_globe_map(figure.add_axes((0.0, 0.245, 1.0, 0.709)), frame, frame.scene)
        panels = figure.add_gridspec(1, 2, left=0.04, right=0.985, top=0.195, bottom=0.06, wspace=0.12)[0, :]
        grid = panels.subgridspec(1, 2, wspace=0.12)
        history, satellites = grid[0, 0], grid[0, 1]
    else:
        whole = figure.add_gridspec(
            2, 2, width_ratios=(1.75, 1), left=0.01, right=0.985, top=0.9, bottom=0.085, wspace=0.11, hspace=0.42
        )
        figure.text(0.02, 0.945, frame.title, fontsize=14, fontweight="bold", color=INK)
        draw_planar_map(figure.add_subplot(whole[:, 0]), frame)
        history, satellites = whole[0, 1], whole[1, 1]
    _draw_history(figure.add_subplot(history), frame)
    _draw_satellites(figure.add_subplot(satellites), frame)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def describe(frame: Frame) -> str:
    """The round as a text table, one line per satellite."""
    name = f"{frame.metric:>18}"
    heading = f"{frame.title}  |  mean {frame.metric} {frame.history[-1]:.3f}"
    if frame.last_round is None:
        rows = [f"{satellite:>9} {value:>18.3f}" for satellite, value in enumerate(frame.satellite_metric)]
        return "\n".join([heading, f"satellite {name}", *rows])
    decision, report = frame.last_round
    columns = f"satellite gateway cluster  CPU GHz epochs energy J weight {name}  outcome"
    rows = [
        f"{satellite:>9} {gateway if decision.associated[satellite] else '-':>7} {decision.cluster[satellite]:>7} "
        f"{decision.cpu_frequency[satellite] / 1e9:>8.3f} {report.epochs[satellite]:>6} "
        f"{report.energy_j[satellite]:>8.1f} {report.weights[satellite]:>6.3f} "
        f"{frame.satellite_metric[satellite]:>18.3f}  {_outcome_name(report.outcome[satellite])}"
        for satellite, gateway in enumerate(decision.association)
    ]
    return "\n".join([heading, columns, *rows])


def _outcome_name(outcome: int) -> str:
    return Outcome(outcome).name.lower().replace("_", " ")


def _draw_history(axes: Axes, frame: Frame) -> None:
    rounds = np.arange(len(frame.history))
    axes.plot(rounds, frame.history, color=INK, lw=2)
    axes.plot(rounds[-1], frame.history[-1], "o", color=INK, ms=6, clip_on=False)
    axes.set_xlim(0, frame.rounds)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _fix_scale_of_shares(axes, frame)
    axes.set_title(f"mean {_words(frame.metric)}  {frame.history[-1]:.3f}", fontsize=11, color=INK, loc="left")
    axes.set_xlabel("round", fontsize=9, color=MUTED)
    _tidy(axes)


def _draw_satellites(axes: Axes, frame: Frame) -> None:
    satellites = np.arange(len(frame.satellite_metric))
    axes.bar(satellites, frame.satellite_metric, color=frame.colours, width=0.8)
    _fix_scale_of_shares(axes, frame)
    axes.axhline(frame.history[-1], color=INK, lw=1.2, ls=(0, (4, 3)))
    if len(satellites) <= MOST_NUMBERED:
        axes.set_xticks(satellites)
    axes.set_title(f"{_words(frame.metric)} of each satellite", fontsize=11, color=INK, loc="left")
    axes.set_xlabel("satellite (colour: cluster)", fontsize=9, color=MUTED)
    _tidy(axes)


def _fix_scale_of_shares(axes: Axes, frame: Frame) -> None:
    """Keep the scale of metrics in [0, 1] from jumping between frames."""
    values = np.concatenate([frame.history, frame.satellite_metric])
    if values.min() >= 0 and values.max() <= 1:
        axes.set_ylim(0, 1)


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    axes.grid(axis="y", color=FAINT, lw=0.8)
    axes.set_axisbelow(True)
