"""What a round looked like: as an image drawn with Matplotlib, or as a table of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from satfl_env.orbits import Scene, SceneSnapshot
from satfl_env.simulation import Decision, Outcome, RoundReport

# Okabe and Ito's colours, told apart by colour-blind people too; clusters beyond the eighth start over.
_CLUSTER_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#777777")
_INK, _MUTED, _FAINT, _LOST = "#1f2d3a", "#6b7a87", "#dfe5ea", "#d62728"
_MOST_NUMBERED = 40


@dataclass(frozen=True, eq=False)
class Frame:
    """What a rendering shows.

    Attributes:
        scenario: Name of the scenario.
        rounds: Rounds in the episode.
        snapshot: The geometry at the start of the last round played, or of the episode.
        coverage_radius_m: Horizontal coverage of a gateway, if the scene knows one.
        limits_m: Bounding box of the map: left, right, bottom, top.
        last_round: Decision and report of the last round played, if there is one.
        time_s: Simulated time now.
        metric: Name of the metric shown.
        satellite_metric: That metric of each satellite now, (S,).
        history: Its mean at the start of the episode and after each round played.
    """

    scenario: str
    rounds: int
    snapshot: SceneSnapshot
    coverage_radius_m: float | None
    limits_m: tuple[float, float, float, float]
    last_round: tuple[Decision, RoundReport] | None
    time_s: float
    metric: str
    satellite_metric: NDArray[np.float64]
    history: Sequence[float]

    @property
    def title(self) -> str:
        """Scenario, round and simulated time."""
        return f"{self.scenario}  |  round {len(self.history) - 1} of {self.rounds}  |  {self.time_s / 60:.0f} min"

    @property
    def colours(self) -> list[str]:
        """Colour of each satellite's cluster."""
        if self.last_round is None:
            return [_CLUSTER_COLOURS[0]] * len(self.satellite_metric)
        return [_CLUSTER_COLOURS[label % len(_CLUSTER_COLOURS)] for label in self.last_round[0].cluster]


def map_limits_m(scene: Scene, coverage_radius_m: float | None) -> tuple[float, float, float, float]:
    """Bounding box of all coverage discs and of where satellites get to, with a margin: left, right, bottom, top."""
    snapshots = [scene.at(time_s) for time_s in np.linspace(0.0, scene.horizon_s, 65)]
    gateways = snapshots[0].gateway_position_m[:, :2]
    reach = coverage_radius_m if coverage_radius_m is not None and np.isfinite(coverage_radius_m) else 0.0
    points = np.concatenate([gateways - reach, gateways + reach, *(it.position_m[:, :2] for it in snapshots)])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.04 * (high - low).max()
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return left, right, bottom, top


def draw(frame: Frame) -> NDArray[np.uint8]:
    """A map of the round and how well the satellites' models do, (H, W, 3)."""
    # A canvas of its own instead of pyplot: no global figures, no display needed.
    figure = Figure(figsize=(11.2, 6.4), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        2, 2, width_ratios=(1.75, 1), left=0.01, right=0.985, top=0.9, bottom=0.085, wspace=0.11, hspace=0.42
    )
    figure.text(0.02, 0.945, frame.title, fontsize=14, fontweight="bold", color=_INK)
    _draw_map(figure.add_subplot(grid[:, 0]), frame)
    _draw_history(figure.add_subplot(grid[0, 1]), frame)
    _draw_satellites(figure.add_subplot(grid[1, 1]), frame)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def describe(frame: Frame) -> str:
    """The round as a text table, one line a satellite."""
    name = f"{frame.metric:>18}"
    heading = f"{frame.title}  |  mean {frame.metric} {frame.history[-1]:.3f}"
    if frame.last_round is None:
        rows = [f"{satellite:>9} {value:>18.3f}" for satellite, value in enumerate(frame.satellite_metric)]
        return "\n".join([heading, f"satellite {name}", *rows])
    decision, report = frame.last_round
    num_gateways = len(decision.gateway_weights)
    columns = f"satellite gateway cluster  CPU GHz epochs energy J weight {name}  outcome"
    rows = [
        f"{satellite:>9} {gateway if gateway < num_gateways else '-':>7} {decision.cluster[satellite]:>7} "
        f"{decision.cpu_frequency[satellite] / 1e9:>8.3f} {report.epochs[satellite]:>6} "
        f"{report.energy_j[satellite]:>8.1f} {report.weights[satellite]:>6.3f} "
        f"{frame.satellite_metric[satellite]:>18.3f}  {_outcome_name(report.outcome[satellite])}"
        for satellite, gateway in enumerate(decision.association)
    ]
    return "\n".join([heading, columns, *rows])


def _outcome_name(outcome: int) -> str:
    return Outcome(outcome).name.lower().replace("_", " ")


def _draw_map(axes: Axes, frame: Frame) -> None:
    left, right, bottom, top = frame.limits_m
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set_axis_off()
    _draw_gateways(axes, frame)
    if frame.last_round is not None:
        _draw_links(axes, frame, *frame.last_round)
    _draw_constellation(axes, frame)
    _draw_scale(axes, frame)
    axes.legend(
        handles=[
            Line2D([], [], color=_INK, lw=1.8, label="update returned"),
            Line2D([], [], color=_LOST, lw=1.6, ls=(0, (3, 2)), label="update lost"),
            Line2D([], [], color=_INK, marker="o", mfc="white", ls="", ms=8, label="sat out"),
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, -0.09),
        ncols=3,
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
    )


def _draw_gateways(axes: Axes, frame: Frame) -> None:
    gateways = frame.snapshot.gateway_position_m[:, :2]
    if frame.coverage_radius_m is not None and np.isfinite(frame.coverage_radius_m):
        for gateway in gateways:
            axes.add_patch(Circle(gateway, frame.coverage_radius_m, fc="#5b8db8", alpha=0.07, lw=0))
            axes.add_patch(Circle(gateway, frame.coverage_radius_m, fill=False, ec="#5b8db8", alpha=0.5, lw=0.9))
    axes.plot(*gateways.T, "^", ms=15, mfc=_INK, mec="white", mew=1.2, zorder=4)
    for index, gateway in enumerate(gateways):
        axes.annotate(
            f"G{index}", gateway, (0, -19), textcoords="offset points", ha="center", fontsize=9, color=_INK, zorder=4
        )


def _draw_links(axes: Axes, frame: Frame, decision: Decision, report: RoundReport) -> None:
    gateways = frame.snapshot.gateway_position_m[:, :2]
    for satellite in np.flatnonzero(decision.association < len(gateways)):
        ends = np.stack([frame.snapshot.position_m[satellite, :2], gateways[decision.association[satellite]]])
        if report.lost[satellite]:
            axes.plot(*ends.T, color=_LOST, lw=1.4, ls=(0, (3, 2)), zorder=3)
        else:
            axes.plot(*ends.T, color=frame.colours[satellite], lw=1.8, alpha=0.85, zorder=3)


def _draw_constellation(axes: Axes, frame: Frame) -> None:
    position, velocity = frame.snapshot.position_m[:, :2], frame.snapshot.velocity_mps[:, :2]
    left, right, _, _ = frame.limits_m
    speed = np.maximum(np.linalg.norm(frame.snapshot.velocity_mps, axis=1, keepdims=True), 1e-9)
    tail = position - 0.075 * (right - left) * velocity / speed
    sits_out = np.zeros(len(position), dtype=np.bool_)
    if frame.last_round is not None:
        sits_out = frame.last_round[1].outcome == Outcome.SAT_OUT
    numbered = len(position) <= _MOST_NUMBERED
    for satellite, colour in enumerate(frame.colours):
        hollow = bool(sits_out[satellite])
        axes.plot(*np.stack([tail[satellite], position[satellite]]).T, color=colour, lw=2.5, alpha=0.3, zorder=5)
        axes.plot(
            *position[satellite],
            marker="o",
            ms=15 if numbered else 6,
            mfc="white" if hollow else colour,
            mec=colour if hollow else "white",
            mew=1.6,
            zorder=6,
        )
        if numbered:
            axes.annotate(
                str(satellite),
                position[satellite],
                ha="center",
                va="center_baseline",
                fontsize=8,
                fontweight="bold",
                color=colour if hollow else "white",
                zorder=7,
            )


def _draw_scale(axes: Axes, frame: Frame) -> None:
    left, right, bottom, top = frame.limits_m
    length_m = 10.0 ** np.floor(np.log10((right - left) / 3))
    x, y = left + 0.03 * (right - left), bottom + 0.03 * (top - bottom)
    axes.plot([x, x + length_m], [y, y], color=_MUTED, lw=2, solid_capstyle="butt")
    axes.annotate(f"{length_m / 1e3:,.0f} km", (x, y), (0, 5), textcoords="offset points", fontsize=8, color=_MUTED)


def _draw_history(axes: Axes, frame: Frame) -> None:
    rounds = np.arange(len(frame.history))
    axes.plot(rounds, frame.history, color=_INK, lw=2)
    axes.plot(rounds[-1], frame.history[-1], "o", color=_INK, ms=6, clip_on=False)
    axes.set_xlim(0, frame.rounds)
    _fix_scale_of_shares(axes, frame)
    axes.set_title(f"mean {_words(frame.metric)}  {frame.history[-1]:.3f}", fontsize=11, color=_INK, loc="left")
    axes.set_xlabel("round", fontsize=9, color=_MUTED)
    _tidy(axes)


def _draw_satellites(axes: Axes, frame: Frame) -> None:
    satellites = np.arange(len(frame.satellite_metric))
    axes.bar(satellites, frame.satellite_metric, color=frame.colours, width=0.8)
    _fix_scale_of_shares(axes, frame)
    axes.axhline(frame.history[-1], color=_INK, lw=1.2, ls=(0, (4, 3)))
    if len(satellites) <= _MOST_NUMBERED:
        axes.set_xticks(satellites)
    axes.set_title(f"{_words(frame.metric)} of each satellite", fontsize=11, color=_INK, loc="left")
    axes.set_xlabel("satellite (colour: cluster)", fontsize=9, color=_MUTED)
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
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(colors=_MUTED, labelsize=8, length=0)
    axes.grid(axis="y", color=_FAINT, lw=0.8)
    axes.set_axisbelow(True)
