"""The map of a constellation: satellites, ground tracks, gateways and links over the Blue Marble, by day and night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb, to_rgba_array
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from satfl_env.data.blue_marble import read_picture
from satfl_env.envs.frame import INK, LOST, MOST_NUMBERED, Frame
from satfl_env.envs.globe_lines import BEYOND_DEG, circle, copies, places, segments
from satfl_env.envs.labels import place_labels
from satfl_env.orbits import ConstellationScene, geodetic, geodetic_deg, ground_track, sun_position_m
from satfl_env.printable import printable

FloatArray = NDArray[np.float64]

_EDGE = 180.0 + BEYOND_DEG
ASPECT = 2 * _EDGE / 180.0

# Pixels per degree of the picture below, and how it fades where the map repeats itself.
_PX_PER_DEG, _VEIL = 4, 0.3
_HAZE = 0.16
_NIGHT, _TWILIGHT_DEG = 0.45, 8.0
_BRIGHTER = 0.3
_GATEWAY, _SUN = "#ffd23f", "#fff3b0"
# Of gateways on the ground, on platforms and in space, and the heights between these.
_MARKERS, _BORDERS_M = {"^": "gateway and its reach", "D": "on a platform", "s": "in space"}, (10e3, 100e3)
_TRACK_S, _TRACK_STEP_S = 1500.0, 20.0
_MOST_TRACKS, _FEW_GATEWAYS, _CROWD = 60, 15, 3000
_OUTLINE = (patheffects.withStroke(linewidth=2.0, foreground=INK),)
_GRID_LABELS: Mapping[str, Any] = {"fontsize": 6.5, "color": "white", "path_effects": _OUTLINE, "zorder": 3}
# Diameters in points: of a numbered satellite, of one among many that takes part, and of a gateway.
_NUMBERED_PT, _AMONG_MANY_PT, _GATEWAY_PT = 11.5, 6.0, 8.5
# From the middle of a marker to a name.
_LABEL_GAP_PT = 7.0
# Of the points of a link, those that names keep away from.
_LABEL_STEPS = 6


def draw_globe_map(axes: Axes, frame: Frame, scene: ConstellationScene) -> None:
    """Draw the last round of a constellation on an equirectangular map, which goes on a little beyond the date line."""
    axes.set_axis_off()
    axes.set(xlim=(-_EDGE, _EDGE), ylim=(-90, 90), aspect="auto")
    sun_m = sun_position_m(scene.orbits.epoch, np.array([frame.snapshot.time_s]))[0]
    axes.imshow(_earth(sun_m), extent=(-_EDGE, _EDGE, -90, 90), interpolation="bilinear", aspect="auto")
    for side in (-1, 1):
        axes.axvspan(*sorted((side * 180.0, side * _EDGE)), color="white", alpha=_VEIL, linewidth=0, zorder=1)
    _draw_graticule(axes)
    _draw_terminator(axes, sun_m)
    latitude, longitude = geodetic_deg(frame.snapshot.position_m)
    _draw_footprints(axes, frame, scene)
    if len(latitude) <= _MOST_TRACKS:
        _draw_tracks(axes, frame, scene)
    links = _draw_links(axes, frame)
    (_draw_crowd if len(latitude) > MOST_NUMBERED else _draw_numbered)(axes, frame, latitude, longitude)
    legend = _draw_legend(axes, frame)
    satellites = np.stack([longitude, latitude], axis=-1)[~frame.sits_out | (len(latitude) <= MOST_NUMBERED)]
    _draw_gateways(axes, frame, scene, [satellites, *(line[::_LABEL_STEPS] for line in links)], legend)


@cache
def _blue_marble() -> FloatArray:
    """The Earth in the size of the map, a little hazy so that what is drawn on it stands out; (H, W, 3) in [0, 1]."""
    width, beyond = 360 * _PX_PER_DEG, round(BEYOND_DEG * _PX_PER_DEG)
    picture = np.asarray(read_picture().resize((width, width // 2)), dtype=np.float64) / 255 * (1 - _HAZE) + _HAZE
    return np.concatenate([picture[:, -beyond:], picture, picture[:, :beyond]], axis=1)


def _earth(sun_m: FloatArray) -> FloatArray:
    """The Earth with its night side darkened, the Sun in an Earth-fixed direction (3,)."""
    height, width, _ = _blue_marble().shape
    longitude = np.radians((np.arange(width) + 0.5) * 2 * _EDGE / width - _EDGE)
    latitude = np.radians(90 - (np.arange(height) + 0.5) * 180 / height)[:, None]
    x, y, z = sun_m / np.linalg.norm(sun_m)
    sine = np.cos(latitude) * (x * np.cos(longitude) + y * np.sin(longitude)) + z * np.sin(latitude)
    dark = np.clip(0.5 - sine / (2 * np.sin(np.radians(_TWILIGHT_DEG))), 0.0, 1.0)
    return np.asarray(_blue_marble() * (1 - _NIGHT * dark)[..., None])


def _draw_graticule(axes: Axes) -> None:
    style: dict[str, Any] = {"color": "white", "lw": 0.5, "alpha": 0.25, "zorder": 1.5}
    for longitude in range(-180, 181, 30):
        axes.axvline(longitude, **style)
    for latitude in range(-60, 61, 30):
        axes.axhline(latitude, **style)
        axes.text(-_EDGE + 1, latitude + 1, _degrees(latitude, "NS"), va="bottom", **_GRID_LABELS)
    for longitude in range(-150, 151, 30):
        axes.text(longitude, 89, _degrees(longitude, "EW"), ha="center", va="top", **_GRID_LABELS)


def _degrees(angle: int, sides: str) -> str:
    return f"{abs(angle)}°{sides[angle < 0] if angle else ''}"


def _draw_terminator(axes: Axes, sun_m: FloatArray) -> None:
    """Where the Sun rises and sets, and where it stands overhead."""
    _add_lines(axes, [circle(sun_m, np.pi / 2)], _SUN, linewidths=0.9, alpha=0.7, zorder=1.6)
    latitude, longitude = geodetic_deg(sun_m)
    x, _ = places(np.atleast_1d(longitude), BEYOND_DEG / 4)
    axes.plot(x, np.full(len(x), latitude), "o", ms=11, mfc=_SUN, mec="#e6b800", mew=1.2, alpha=0.9, zorder=1.7)


def _draw_footprints(axes: Axes, frame: Frame, scene: ConstellationScene) -> None:
    """Where each gateway sees a satellite of the mean height: a circle on the globe."""
    mean_radius_m = float(np.linalg.norm(frame.snapshot.position_m, axis=-1).mean())
    reach = np.empty(scene.num_gateways)
    for which, segment in scene.segments:
        reach[which] = segment.reach_rad(mean_radius_m)
    axes_of = frame.snapshot.gateway_frame
    assert axes_of is not None
    boresight = axes_of[:, 2]
    # Gateways in space look down.
    up = boresight * np.sign((boresight * frame.snapshot.gateway_position_m).sum(axis=-1, keepdims=True))
    rims = [circle(*each) for each in zip(up, reach, strict=True)]
    _add_lines(axes, rims, _GATEWAY, linewidths=0.9, alpha=0.5, zorder=2)


def _draw_tracks(axes: Axes, frame: Frame, scene: ConstellationScene) -> None:
    """The ground each satellite has just passed over."""
    track = ground_track(scene.orbits, frame.snapshot.time_s - np.arange(0.0, _TRACK_S, _TRACK_STEP_S))
    for latitude, longitude, colour in zip(track.latitude_deg.T, track.longitude_deg.T, _bright(frame), strict=True):
        line = np.stack([longitude, latitude], axis=-1)
        pieces = list(np.stack([line[:-1], line[1:]], axis=1))
        fading = [(*colour, alpha) for alpha in np.linspace(0.9, 0.0, len(pieces))]
        _add_lines(axes, pieces, fading, linewidths=2.2, zorder=3)


def _draw_links(axes: Axes, frame: Frame) -> list[FloatArray]:
    """The ways of updates that came back or were lost; returns these, in longitude and latitude, (N, 2) each."""
    if frame.last_round is None:
        return []
    decision, report = frame.last_round
    position_m, sender = frame.snapshot.position_m, frame.snapshot.sender
    drawn = []
    for satellite in np.flatnonzero(report.lost | report.returned):
        gateway = decision.association[satellite]
        # A relayed model goes by way of its sender.
        way = [satellite] if sender is None else [satellite, sender[satellite, gateway]]
        line = segments(np.stack([*position_m[way], frame.snapshot.gateway_position_m[gateway]]))
        style = (LOST, (0, (3, 2))) if report.lost[satellite] else (_bright(frame)[satellite], "solid")
        _add_lines(axes, [line], "white", linewidths=3.2, zorder=4)
        _add_lines(axes, [line], style[0], linewidths=1.8, linestyles=style[1], zorder=4)
        drawn.append(line)
    return drawn


def _markers(frame: Frame) -> list[str]:
    """The marker of each gateway."""
    _, _, height_m = geodetic(frame.snapshot.gateway_position_m)
    return [[*_MARKERS][tier] for tier in np.searchsorted(_BORDERS_M, height_m)]


def _draw_gateways(
    axes: Axes, frame: Frame, scene: ConstellationScene, avoided: Sequence[FloatArray], legend: Legend
) -> None:
    """Gateways, or the points below them, marked by how high they are, with names where there is room.

    Names keep away from the legend and, if they can, from what is there already, longitudes and latitudes (N, 2) each.
    """
    latitude, longitude = geodetic_deg(frame.snapshot.gateway_position_m)
    markers = np.array(_markers(frame))
    x, which = places(longitude, _radius_deg(axes, _GATEWAY_PT))
    for marker in np.unique(markers):
        of_kind = markers[which] == marker
        where = x[of_kind], latitude[which][of_kind]
        axes.plot(*where, marker, ms=_GATEWAY_PT, mfc=_GATEWAY, mec=INK, mew=1.0, zorder=5)
    points = list(zip(longitude.tolist(), latitude.tolist(), strict=True))
    texts = [
        axes.text(
            *point,
            printable(gateway.name),
            ha="center",
            va="center",
            fontsize=7.5 if len(points) <= _FEW_GATEWAYS else 6.0,
            color="white",
            path_effects=_OUTLINE,
            zorder=8,
        )
        for point, gateway in zip(points, scene.gateways, strict=True)
    ]
    obstacles = np.concatenate([*avoided, points])
    place_labels(axes, points, texts, obstacles, gap_pt=_LABEL_GAP_PT, kept=[legend.get_window_extent()])


def _draw_crowd(axes: Axes, frame: Frame, latitude: FloatArray, longitude: FloatArray) -> None:
    """Dots, small ones for satellites that sat out, so that the round's few participants stand out."""
    x, which = places(longitude, _radius_deg(axes, _AMONG_MANY_PT))
    sits_out = frame.sits_out[which]
    axes.scatter(
        x,
        latitude[which],
        s=np.where(sits_out, 1.0 if len(latitude) > _CROWD else 4.0, _AMONG_MANY_PT**2),
        c=_bright(frame)[which],
        edgecolors="white",
        linewidths=np.where(sits_out, 0.0, 0.6).tolist(),
        zorder=6,
    )


def _draw_numbered(axes: Axes, frame: Frame, latitude: FloatArray, longitude: FloatArray) -> None:
    """Discs with the satellites' numbers, hollow for those that sat out."""
    colours, sits_out = _bright(frame), frame.sits_out[:, None]
    x, which = places(longitude, _radius_deg(axes, _NUMBERED_PT))
    axes.scatter(
        x,
        latitude[which],
        s=_NUMBERED_PT**2,
        c=np.where(sits_out, to_rgb(INK), colours)[which],
        edgecolors=[to_hex(colour) for colour in np.where(sits_out, colours, 1.0)[which]],
        linewidths=1.6,
        zorder=6,
    )
    for place, satellite in zip(x, which, strict=True):
        axes.text(
            place,
            latitude[satellite],
            str(satellite),
            ha="center",
            va="center_baseline",
            fontsize=7.5,
            fontweight="bold",
            color="white",
            path_effects=_OUTLINE,
            zorder=7,
        )


def _draw_legend(axes: Axes, frame: Frame) -> Legend:
    shown = _markers(frame)
    handles = [
        Line2D([], [], color="white", lw=1.8, label="update returned"),
        Line2D([], [], color=LOST, lw=1.8, ls=(0, (3, 2)), label="update lost"),
        Line2D([], [], color="white", marker="o", mfc="none", ls="", ms=7, label="sat out"),
        *(
            Line2D([], [], color=_GATEWAY, marker=marker, mec=INK, ls="", ms=9, label=label)
            for marker, label in _MARKERS.items()
            if marker in shown
        ),
    ]
    return axes.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        fontsize=8,
        labelcolor="white",
        facecolor=INK,
        framealpha=0.75,
        frameon=True,
        borderaxespad=0.3,
        columnspacing=1.4,
    )


def _radius_deg(axes: Axes, diameter_pt: float) -> float:
    """Half of a marker's width, in degrees of longitude."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return min(0.6 * diameter_pt / 72 * figure.dpi / axes.bbox.width * 2 * _EDGE, BEYOND_DEG / 2)


def _bright(frame: Frame) -> FloatArray:
    """Each satellite's colour, bright enough to stand out on blue oceans, (S, 3)."""
    return np.array([to_rgb(colour) for colour in frame.colours]) * (1 - _BRIGHTER) + _BRIGHTER


def _add_lines(axes: Axes, lines: Sequence[FloatArray], colours: Any, **style: Any) -> None:
    """Lines in one colour, or a colour each, that leave the map at one side and enter it at the other."""
    drawn, which = copies(lines)
    each = to_rgba_array(colours)
    axes.add_collection(LineCollection(drawn, colors=each[which] if len(each) > 1 else each, **style), autolim=False)
