"""The map of a constellation: satellites, ground tracks, gateways and links over NASA's Blue Marble."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from satfl_env.data.blue_marble import read_picture
from satfl_env.envs.frame import INK, LOST, MOST_NUMBERED, Frame
from satfl_env.orbits import ConstellationScene, geodetic, geodetic_deg, ground_track, sun_position_m
from satfl_env.printable import printable

FloatArray = NDArray[np.float64]

_MAP_SIZE = (1350, 675)
_HAZE = 0.16
_NIGHT, _TWILIGHT_DEG = 0.4, 8.0
_BRIGHTER = 0.3
_GATEWAY = "#ffd23f"
# Of gateways on the ground, on platforms and in space, and the heights between these.
_MARKERS, _BORDERS_M = {"^": "gateway and its reach", "D": "on a platform", "s": "in space"}, (10e3, 100e3)
_TRACK_S, _TRACK_STEP_S = 1500.0, 20.0
_MOST_TRACKS, _FEW_GATEWAYS = 60, 15
_OUTLINE = (patheffects.withStroke(linewidth=2.2, foreground=INK),)


def draw_globe_map(axes: Axes, frame: Frame, scene: ConstellationScene) -> None:
    """Draw the last round of a constellation on an equirectangular map; night is shaded."""
    axes.set_axis_off()
    axes.imshow(_earth(scene, frame.snapshot.time_s), extent=(-180, 180, -90, 90), interpolation="bilinear")
    axes.set(xlim=(-180, 180), ylim=(-90, 90), aspect="auto")
    latitude, longitude = geodetic_deg(frame.snapshot.position_m)
    _draw_footprints(axes, frame, scene)
    if len(latitude) <= _MOST_TRACKS:
        _draw_tracks(axes, frame, scene)
    _draw_links(axes, frame, latitude, longitude)
    _draw_gateways(axes, frame, scene)
    _draw_satellites(axes, frame, latitude, longitude)
    handles = [
        Line2D([], [], color="white", lw=1.8, label="update returned"),
        Line2D([], [], color=LOST, lw=1.6, ls=(0, (3, 2)), label="update lost"),
        Line2D([], [], color="white", marker="o", mfc="none", ls="", ms=7, label="sat out"),
    ]
    shown = _markers(frame)
    handles += [
        Line2D([], [], color=_GATEWAY, marker=marker, mec=INK, ls="", ms=9, label=label)
        for marker, label in _MARKERS.items()
        if marker in shown
    ]
    axes.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        fontsize=9,
        labelcolor="white",
        facecolor=INK,
        framealpha=0.75,
    )


@cache
def _blue_marble() -> FloatArray:
    """The Earth in the size of the map, a little hazy so that what is drawn on it stands out; (H, W, 3) in [0, 1]."""
    return np.asarray(read_picture().resize(_MAP_SIZE), dtype=np.float64) / 255 * (1 - _HAZE) + _HAZE


def _earth(scene: ConstellationScene, time_s: float) -> FloatArray:
    """The Earth with its night side darkened."""
    width, height = _MAP_SIZE
    longitude = np.radians((np.arange(width) + 0.5) * 360 / width - 180)
    latitude = np.radians(90 - (np.arange(height) + 0.5) * 180 / height)[:, None]
    x, y, z = (it := sun_position_m(scene.orbits.epoch, np.array([time_s]))[0]) / np.linalg.norm(it)
    sine = np.cos(latitude) * (x * np.cos(longitude) + y * np.sin(longitude)) + z * np.sin(latitude)
    dark = np.clip(0.5 - sine / (2 * np.sin(np.radians(_TWILIGHT_DEG))), 0.0, 1.0)
    return np.asarray(_blue_marble() * (1 - _NIGHT * dark)[..., None])


def _draw_footprints(axes: Axes, frame: Frame, scene: ConstellationScene) -> None:
    """Where each gateway sees a satellite of the mean height: a circle on the globe."""
    mean_radius_m = float(np.linalg.norm(frame.snapshot.position_m, axis=-1).mean())
    reach = np.empty((scene.num_gateways, 1))
    for which, segment in scene.segments:
        reach[which, 0] = segment.reach_rad(mean_radius_m)
    turn = np.linspace(0.0, 2 * np.pi, 181)[:, None, None]
    position_m, axes_of = frame.snapshot.gateway_position_m, frame.snapshot.gateway_frame
    assert axes_of is not None
    across, along, boresight = axes_of.swapaxes(0, 1)
    # Gateways in space look down.
    up = boresight * np.sign((boresight * position_m).sum(axis=-1, keepdims=True))
    rim = np.cos(reach) * up + np.sin(reach) * (np.cos(turn) * along + np.sin(turn) * across)
    latitude, longitude = np.degrees(np.arcsin(rim[..., 2])), np.degrees(np.arctan2(rim[..., 1], rim[..., 0]))
    _add_lines(axes, _lines(latitude.T, longitude.T), colors=_GATEWAY, linewidths=0.9, alpha=0.5, zorder=2)


def _draw_tracks(axes: Axes, frame: Frame, scene: ConstellationScene) -> None:
    """The ground each satellite has just passed over."""
    track = ground_track(scene.orbits, frame.snapshot.time_s - np.arange(0.0, _TRACK_S, _TRACK_STEP_S))
    colours = _bright(frame)
    for latitude, longitude, colour in zip(track.latitude_deg.T, track.longitude_deg.T, colours, strict=True):
        line = _lines(latitude[None], longitude[None])[0]
        pieces = list(np.stack([line[:-1], line[1:]], axis=1))
        fading = np.tile(np.linspace(0.9, 0.0, len(pieces)), 3)
        _add_lines(axes, pieces, colors=to_hex(colour), linewidths=2.2, alpha=fading, zorder=3)


def _draw_links(axes: Axes, frame: Frame, latitude: FloatArray, longitude: FloatArray) -> None:
    if frame.last_round is None:
        return
    decision, report = frame.last_round
    gateway_latitude, gateway_longitude = geodetic_deg(frame.snapshot.gateway_position_m)
    sender = frame.snapshot.sender
    for satellite in np.flatnonzero(decision.associated):
        gateway = decision.association[satellite]
        # A relayed model goes by way of its sender.
        way = [satellite] if sender is None else [satellite, sender[satellite, gateway]]
        line = _lines(
            np.array([[*latitude[way], gateway_latitude[gateway]]]),
            np.array([[*longitude[way], gateway_longitude[gateway]]]),
        )
        if report.lost[satellite]:
            _add_lines(axes, line, colors=LOST, linewidths=1.6, linestyles=(0, (3, 2)), zorder=4)
        elif report.returned[satellite]:
            _add_lines(axes, line, colors="white", linewidths=3.2, zorder=4)
            _add_lines(axes, line, colors=to_hex(_bright(frame)[satellite]), linewidths=1.8, zorder=4)


def _markers(frame: Frame) -> list[str]:
    """The marker of each gateway."""
    _, _, height_m = geodetic(frame.snapshot.gateway_position_m)
    return [[*_MARKERS][tier] for tier in np.searchsorted(_BORDERS_M, height_m)]


def _draw_gateways(axes: Axes, frame: Frame, scene: ConstellationScene) -> None:
    """Gateways, or the points below them, marked by how high they are."""
    font_size = 7.5 if len(scene.gateways) <= _FEW_GATEWAYS else 5.5
    latitude, longitude = geodetic_deg(frame.snapshot.gateway_position_m)
    for gateway, *place, marker in zip(scene.gateways, longitude, latitude, _markers(frame), strict=True):
        axes.plot(*place, marker, ms=9, mfc=_GATEWAY, mec=INK, mew=1.0, zorder=5)
        axes.annotate(
            printable(gateway.name),
            tuple(place),
            (0, -15),
            textcoords="offset points",
            ha="center",
            fontsize=font_size,
            color="white",
            path_effects=_OUTLINE,
            zorder=8,
        )


def _draw_satellites(axes: Axes, frame: Frame, latitude: FloatArray, longitude: FloatArray) -> None:
    numbered = len(latitude) <= MOST_NUMBERED
    colours, sits_out = _bright(frame), frame.sits_out
    face = np.where(sits_out[:, None], to_rgb(INK), colours)
    edge = [to_hex(colour) for colour in np.where(sits_out[:, None], colours, 1.0)]
    if not numbered:
        # Those who sit out are small, so that the round's few participants stand out.
        sizes = np.where(sits_out, 5.0, 40.0)
        axes.scatter(longitude, latitude, s=sizes, c=colours, edgecolors=edge, linewidths=0.6, zorder=6)
        return
    axes.scatter(longitude, latitude, s=130.0, c=face, edgecolors=edge, linewidths=1.6, zorder=6)
    for satellite, place in enumerate(zip(longitude, latitude, strict=True)):
        axes.annotate(
            str(satellite),
            place,
            ha="center",
            va="center_baseline",
            fontsize=7.5,
            fontweight="bold",
            color="white",
            path_effects=_OUTLINE,
            clip_on=True,
            zorder=7,
        )


def _bright(frame: Frame) -> FloatArray:
    """Each satellite's colour, bright enough to stand out on blue oceans, (S, 3)."""
    return np.array([to_rgb(colour) for colour in frame.colours]) * (1 - _BRIGHTER) + _BRIGHTER


def _lines(latitude_deg: FloatArray, longitude_deg: FloatArray) -> list[FloatArray]:
    """Lines through points in order, (N, M) each, that do not jump at the date line: (M, 2) each."""
    longitude = np.unwrap(longitude_deg, period=360.0, axis=1)
    return list(np.stack([longitude, latitude_deg], axis=-1))


def _add_lines(axes: Axes, lines: Iterable[FloatArray], **style: object) -> None:
    """Lines drawn three times, so that those that leave the map at one side re-enter at the other."""
    shifted = [line + np.array((shift, 0.0)) for shift in (-360.0, 0.0, 360.0) for line in lines]
    axes.add_collection(LineCollection(shifted, **style), autolim=False)  # type: ignore[arg-type]
