"""The map of a planar scene: coverage discs, satellites and links from above."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from satfl_env.envs.frame import INK, LOST, MOST_NUMBERED, MUTED, Frame
from satfl_env.envs.labels import place_labels
from satfl_env.orbits import Scene
from satfl_env.simulation import Decision, RoundReport

Limits = tuple[float, float, float, float]

# From the middle of a gateway to its number.
_LABEL_GAP_PT = 10.0


def draw_planar_map(axes: Axes, frame: Frame) -> None:
    """Draw the last round of a planar scene."""
    limits = left, right, bottom, top = map_limits_m(frame.scene, frame.coverage_radius_m)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set_axis_off()
    _draw_gateways(axes, frame)
    if frame.last_round is not None:
        _draw_links(axes, frame, *frame.last_round)
    _draw_constellation(axes, frame, limits)
    _name_gateways(axes, frame)
    _draw_scale(axes, limits)
    axes.legend(
        handles=[
            Line2D([], [], color=INK, lw=1.8, label="update returned"),
            Line2D([], [], color=LOST, lw=1.6, ls=(0, (3, 2)), label="update lost"),
            Line2D([], [], color=INK, marker="o", mfc="white", ls="", ms=8, label="sat out"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=3,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )


def _draw_gateways(axes: Axes, frame: Frame) -> None:
    gateways = frame.snapshot.gateway_position_m[:, :2]
    if frame.coverage_radius_m is not None and np.isfinite(frame.coverage_radius_m):
        for gateway in gateways:
            axes.add_patch(Circle(gateway, frame.coverage_radius_m, fc="#5b8db8", alpha=0.07, lw=0))
            axes.add_patch(Circle(gateway, frame.coverage_radius_m, fill=False, ec="#5b8db8", alpha=0.5, lw=0.9))
    axes.plot(*gateways.T, "^", ms=15, mfc=INK, mec="white", mew=1.2, zorder=4)


def _name_gateways(axes: Axes, frame: Frame) -> None:
    """Numbers of gateways where they hide neither satellites nor links, if they can help it."""
    points = [(float(x), float(y)) for x, y, *_ in frame.snapshot.gateway_position_m]
    texts = [
        axes.text(*point, f"G{index}", ha="center", va="center", fontsize=9, color=INK, zorder=8)
        for index, point in enumerate(points)
    ]
    satellites = frame.snapshot.position_m[:, :2]
    obstacles = [satellites, np.array(points)]
    if frame.last_round is not None:
        decision, _ = frame.last_round
        ends = satellites[decision.associated], np.array(points)[decision.association[decision.associated]]
        obstacles += [ends[1] + share * (ends[0] - ends[1]) for share in np.linspace(0.05, 0.5, 10)]
    place_labels(axes, points, texts, np.concatenate(obstacles), gap_pt=_LABEL_GAP_PT)


def _draw_links(axes: Axes, frame: Frame, decision: Decision, report: RoundReport) -> None:
    gateways = frame.snapshot.gateway_position_m[:, :2]
    for satellite in np.flatnonzero(decision.associated):
        ends = np.stack([frame.snapshot.position_m[satellite, :2], gateways[decision.association[satellite]]])
        if report.lost[satellite]:
            axes.plot(*ends.T, color=LOST, lw=1.4, ls=(0, (3, 2)), zorder=3)
        else:
            axes.plot(*ends.T, color=frame.colours[satellite], lw=1.8, alpha=0.85, zorder=3)


def _draw_constellation(axes: Axes, frame: Frame, limits: Limits) -> None:
    position, velocity = frame.snapshot.position_m[:, :2], frame.snapshot.velocity_mps[:, :2]
    left, right, _, _ = limits
    speed = np.maximum(np.linalg.norm(frame.snapshot.velocity_mps, axis=1, keepdims=True), 1e-9)
    tail = position - 0.075 * (right - left) * velocity / speed
    numbered = len(position) <= MOST_NUMBERED
    for satellite, colour in enumerate(frame.colours):
        hollow = bool(frame.sits_out[satellite])
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


def _draw_scale(axes: Axes, limits: Limits) -> None:
    left, right, bottom, top = limits
    length_m = 10.0 ** np.floor(np.log10((right - left) / 3))
    x, y = left + 0.03 * (right - left), bottom + 0.03 * (top - bottom)
    axes.plot([x, x + length_m], [y, y], color=MUTED, lw=2, solid_capstyle="butt")
    axes.annotate(f"{length_m / 1e3:,.0f} km", (x, y), (0, 5), textcoords="offset points", fontsize=8, color=MUTED)


def map_limits_m(scene: Scene, coverage_radius_m: float | None) -> Limits:
    """Bounding box of all coverage discs and of the satellites' paths, with a margin: left, right, bottom, top."""
    snapshots = [scene.at(time_s) for time_s in np.linspace(0.0, scene.horizon_s, 65)]
    gateways = snapshots[0].gateway_position_m[:, :2]
    reach = coverage_radius_m if coverage_radius_m is not None and np.isfinite(coverage_radius_m) else 0.0
    points = np.concatenate([gateways - reach, gateways + reach, *(it.position_m[:, :2] for it in snapshots)])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.04 * (high - low).max()
    (left, bottom), (right, top) = (low - margin).tolist(), (high + margin).tolist()
    return left, right, bottom, top
