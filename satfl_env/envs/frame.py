"""What a rendering shows, and its colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satfl_env.orbits import (
    ConstellationScene,
    Scene,
    SceneSnapshot,
    in_cylindrical_shadow,
    sun_position_m,
    times_after,
)
from satfl_env.printable import printable
from satfl_env.simulation import Decision, Outcome, RoundReport

# Okabe and Ito's colours, which people with every kind of colour vision can tell apart, with a darker yellow, and grey
# in place of black; they repeat from the eighth cluster on. Their vermilion is kept for what is lost.
CLUSTER_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#B8A800", "#777777")
INK, MUTED, FAINT, LOST = "#1f2d3a", "#5b6a77", "#dfe5ea", "#D55E00"
# Of batteries in sunlight and in the Earth's shadow.
SUNNY, SHADE = "#E69F00", "#777777"
MOST_NUMBERED = 40


@dataclass(frozen=True, eq=False)
class Frame:
    """What a rendering shows.

    Attributes:
        scenario: Name of the scenario.
        rounds: Rounds in the episode.
        scene: The satellites and gateways of the episode.
        snapshot: The geometry at the start of the last round played, or of the episode.
        coverage_radius_m: Horizontal coverage of a gateway, if the scene has one.
        last_round: Decision and report of the last round played, if there is one.
        time_s: Simulated time now.
        metric: Name of the metric shown.
        satellite_metric: That metric of each satellite now, (S,).
        history: Its mean at the start of the episode and after each round played.
        charge: What each battery holds now, as a share of its capacity, (S,); None where there are none.
        in_shadow: Satellites in the Earth's shadow now, (S,); None where there is no night.
    """

    scenario: str
    rounds: int
    scene: Scene
    snapshot: SceneSnapshot
    coverage_radius_m: float | None
    last_round: tuple[Decision, RoundReport] | None
    time_s: float
    metric: str
    satellite_metric: NDArray[np.float64]
    history: Sequence[float]
    charge: NDArray[np.float64] | None = None
    in_shadow: NDArray[np.bool_] | None = None

    @property
    def title(self) -> str:
        """Scenario, round and simulated time."""
        played = f"round {len(self.history) - 1} of {self.rounds}"
        return f"{printable(self.scenario)}  |  {played}  |  {self.time_s / 60:.0f} min"

    @property
    def date(self) -> str:
        """When it was as the map shows it, in UTC; empty where time has no date."""
        if not isinstance(self.scene, ConstellationScene):
            return ""
        moment = times_after(self.scene.orbits.epoch, np.asarray(self.snapshot.time_s))
        return str(moment.strftime("%Y-%m-%d %H:%M UTC"))

    @property
    def colours(self) -> list[str]:
        """Colour of each satellite's cluster."""
        if self.last_round is None:
            return [CLUSTER_COLOURS[0]] * len(self.satellite_metric)
        return [CLUSTER_COLOURS[label % len(CLUSTER_COLOURS)] for label in self.last_round[0].cluster]

    @property
    def sits_out(self) -> NDArray[np.bool_]:
        """Satellites that sat the last round out, (S,)."""
        if self.last_round is None:
            return np.zeros(len(self.satellite_metric), dtype=np.bool_)
        return np.asarray(self.last_round[1].outcome == Outcome.SAT_OUT)


def usual_size(scene: Scene) -> tuple[int, int]:
    """Width and height of a rendering, unless others are asked for, in pixels at 100 dots per inch."""
    return (1120, 790) if isinstance(scene, ConstellationScene) else (1120, 640)


def in_shadow(scene: Scene, snapshot: SceneSnapshot) -> NDArray[np.bool_] | None:
    """Satellites in the Earth's shadow, (S,); None where there is no night."""
    if not isinstance(scene, ConstellationScene):
        return None
    sun_m = sun_position_m(scene.orbits.epoch, np.array([snapshot.time_s]))
    return in_cylindrical_shadow(snapshot.position_m, sun_m)
