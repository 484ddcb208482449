"""The panels beside a map: how the test metric has changed, what each satellite's is, and what its battery holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from satfl_env.envs.frame import CLUSTER_COLOURS, FAINT, INK, MOST_NUMBERED, MUTED, SHADE, SUNNY, Frame
from satfl_env.quantities import quantity

FloatArray = NDArray[np.float64]
Panel = Callable[[Axes, Frame], None]

SHARES = (0.0, 1.0)
_BINS = 25
_NUMBER_INCHES = 0.25
_MEAN: Mapping[str, Any] = {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 3))}


def panels(frame: Frame) -> list[Panel]:
    """What to draw beside the map."""
    return [draw_history, draw_satellites] if frame.charge is None else [draw_history, draw_satellites, draw_batteries]


def draw_history(axes: Axes, frame: Frame) -> None:
    """The mean metric, round by round."""
    values = np.asarray(frame.history) * quantity(frame.metric).factor
    axes.plot(values, color=INK, lw=2)
    axes.plot(len(values) - 1, values[-1], "o", color=INK, ms=6, clip_on=False)
    axes.set_xlim(0, frame.rounds)
    _count_below(axes)
    if (limits := _limits(frame)) == SHARES:
        axes.set_ylim(limits)
    _finish(axes, f"mean {quantity(frame.metric).label}: {values[-1]:.4g}", "round")


def draw_satellites(axes: Axes, frame: Frame) -> None:
    """Each satellite's metric in the colour of its cluster; of many, how many have which."""
    shown = quantity(frame.metric)
    values = frame.satellite_metric * shown.factor
    if len(values) > MOST_NUMBERED:
        limits = limits if (limits := _limits(frame)) == SHARES else _range(values)
        _stacked(axes, values, np.array(frame.colours), list(CLUSTER_COLOURS), limits)
        axes.axvline(frame.history[-1] * shown.factor, **_MEAN)
        _finish(axes, f"satellites by {shown.label}", f"{shown.label} (colour: cluster)")
        return
    _bars(axes, values, frame.colours)
    axes.set_ylim(_limits(frame))
    axes.axhline(frame.history[-1] * shown.factor, **_MEAN)
    _finish(axes, f"{shown.label} of each satellite", "satellite (colour: cluster)")


def draw_batteries(axes: Axes, frame: Frame) -> None:
    """What each satellite's battery holds, and which are in sunlight; of many, how many hold how much."""
    assert frame.charge is not None
    percent = 100 * frame.charge
    in_shadow = np.zeros(len(percent), dtype=np.bool_) if frame.in_shadow is None else frame.in_shadow
    colours = np.where(in_shadow, SHADE, SUNNY)
    light = "" if frame.in_shadow is None else "grey: in the Earth's shadow"
    if len(percent) > MOST_NUMBERED:
        _stacked(axes, percent, colours, [SUNNY, SHADE], (0.0, 100.0))
        _finish(axes, "satellites by charge of the battery (%)", light)
        return
    _bars(axes, percent, list(colours))
    axes.set_ylim(0, 100)
    _finish(axes, "charge of each battery (%)", f"satellite ({light})" if light else "satellite")


def _bars(axes: Axes, values: FloatArray, colours: list[str]) -> None:
    """A bar for each satellite; bars that are no numbers are left out."""
    axes.bar(np.arange(len(values)), np.nan_to_num(values, posinf=0.0, neginf=0.0), color=colours, width=0.8)
    axes.set_xlim(-0.6, len(values) - 0.4)
    _count_below(axes)


def _count_below(axes: Axes) -> None:
    """As many whole numbers below the panel as there is room for."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    room = int(axes.bbox.width / figure.dpi / _NUMBER_INCHES)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=max(room, 1), integer=True, min_n_ticks=1))


def _stacked(
    axes: Axes, values: FloatArray, colours: NDArray[np.str_], order: list[str], limits: tuple[float, float]
) -> None:
    """A histogram whose columns are divided by colour."""
    axes.hist(
        [np.clip(values[colours == colour], *limits) for colour in order],
        bins=np.linspace(*limits, _BINS + 1).tolist(),
        color=order,
        stacked=True,
        rwidth=0.9,
    )
    axes.set_xlim(limits)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _limits(frame: Frame) -> tuple[float, float]:
    """The scale of bars: that of shares if the metric may be one, so that it does not jump between frames."""
    low, high = _range(np.concatenate([[0.0], frame.history, frame.satellite_metric]) * quantity(frame.metric).factor)
    return SHARES if low == 0 and high <= 1 else (1.08 * low, 1.08 * high)


def _range(values: FloatArray) -> tuple[float, float]:
    """The lowest and the highest number, a little apart at least."""
    there = values[np.isfinite(values)]
    low, high = (there.min(), there.max()) if there.size else (0.0, 0.0)
    return float(low), float(max(high, low + 1e-6))


def _finish(axes: Axes, title: str, below: str) -> None:
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlabel(below, fontsize=8.5, color=MUTED)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    axes.grid(visible=False, axis="x")
    axes.grid(color=FAINT, lw=0.8, axis="y")
