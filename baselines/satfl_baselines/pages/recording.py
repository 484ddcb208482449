"""What the replay of an episode shows: every round as plain numbers.

Positions of all satellites are 16 bit integers in base64. Rows of the table are lists of rounded numbers, column by
column: of all satellites where they are few, else of those that took part in the round.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from satfl_baselines.arrays import FloatArray, IntArray
from satfl_baselines.evaluate import Decide, PlayedRound, loaded, play_rounds, policy_name
from satfl_baselines.files import yaml_text
from satfl_baselines.pages.page import MOST_ROWS
from satfl_env import Decision, NetworkState, Outcome, RoundReport, Simulation, judging_metric, read_land
from satfl_env.commands.doctor import versions
from satfl_env.quantities import quantity
from satfl_env.scenarios import Scenario

# More satellites than that are many.
FEW = 200
_LAND_SIZE = (720, 360)
_LARGEST = np.iinfo(np.int16).max
# Between them lie nine tenths of the satellites.
_BAND = (5, 95)


class Before(NamedTuple):
    """The network from which a round was decided."""

    state: NetworkState
    snapshot: Any


class Column(NamedTuple):
    """A column of the table: its name, its unit, and what it holds of each satellite that took part, (S,)."""

    name: str
    unit: str
    of: Callable[[NetworkState, Decision, RoundReport], Any]


COLUMNS = (
    Column("gateway", "", lambda state, decision, report: decision.association),
    Column("outcome", "", lambda state, decision, report: report.outcome),
    Column("lost", "", lambda state, decision, report: report.lost.astype(np.int64)),
    Column("epochs", "", lambda state, decision, report: report.epochs),
    Column("cluster", "", lambda state, decision, report: decision.cluster),
    Column("window", "s", lambda state, decision, report: state.window_s[decision.pairs]),
    Column("CPU", "GHz", lambda state, decision, report: decision.cpu_frequency / 1e9),
    Column("energy", "J", lambda state, decision, report: report.energy_j),
    Column("weight", "", lambda state, decision, report: report.weights),
)


def record_replay(
    scenario: Scenario | str | Path,
    policy: Decide | str,
    seed: int,
    *,
    name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> dict[str, Any]:
    """Play an episode and record what its replay shows.

    Args:
        scenario: A scenario, its built-in name, or the path of a YAML file.
        policy: Decides every round: a function `NetworkState -> Decision`, or a name in the registry.
        seed: Seed of the episode, and of a policy of the registry.
        name: What the page calls the policy; its own name if not given.
        parts: Your own parts in place of the scenario's.
        progress: Called with the numbers of finished and of all rounds.

    Returns:
        What the script of the page reads, see `templates/replay.js`.

    Raises:
        ValueError, TypeError, RuntimeError: As `run_episode` does.
    """
    scenario = loaded(scenario)
    rounds: list[dict[str, Any]] = []
    before: Before | None = None
    for played in play_rounds(scenario, policy, seed, parts=parts):
        simulation = played.simulation
        here = Before(simulation.state, simulation.snapshot)
        metric = judging_metric(simulation.test.metrics, scenario.target)
        rounds.append(_round(played, before or here, metric))
        before = here
        progress(len(rounds) - 1, scenario.rounds.episode)
    return {
        "scenario": scenario.name,
        "description": scenario.description,
        "configuration": yaml_text(scenario.model_dump(mode="json")),
        "policy": name or policy_name(policy),
        "seed": seed,
        "versions": versions(),
        "metric": metric,
        "metricLabel": quantity(metric).label,
        "satellites": simulation.scene.num_satellites,
        "many": _are_many(simulation),
        "tasks": list(simulation.tasks),
        "outcomes": [outcome.name.lower() for outcome in Outcome],
        "columns": [{"name": column.name, "unit": column.unit} for column in COLUMNS],
        **_place(simulation, here),
        "rounds": rounds,
    }


def _place(simulation: Simulation, before: Before) -> dict[str, Any]:
    """Gateways, and the Earth or the plane around them."""
    scene = simulation.scene
    # Scenes on the globe know where up is at a gateway, and coordinates there are Earth-fixed.
    on_globe = before.snapshot.gateway_frame is not None
    reach_m = getattr(scene, "coverage_radius_m", np.inf)
    named = getattr(scene, "gateways", range(scene.num_gateways))
    return {
        "gateways": [getattr(gateway, "name", f"G{index}") for index, gateway in enumerate(named)],
        "stepM": scene.max_position_m / _LARGEST,
        "coverageM": float(reach_m) if np.isfinite(reach_m) else None,
        "land": _land() if on_globe else None,
    }


def _land() -> dict[str, Any]:
    width, height = _LAND_SIZE
    return {"width": width, "height": height, "bits": _base64(np.packbits(read_land(_LAND_SIZE)))}


def _round(played: PlayedRound, before: Before, metric: str) -> dict[str, Any]:
    simulation, snapshot = played.simulation, before.snapshot
    shown, hidden = _shown(simulation, played.report)
    judged = simulation.test.metrics[metric]
    step_m = simulation.scene.max_position_m / _LARGEST
    return {
        "record": {name: _short(value, 6) for name, value in played.record.items()},
        "merged": played.report is not None and played.report.merged,
        "reasons": _reasons(played.report),
        "band": [_short(value) for value in np.percentile(judged, _BAND)],
        "chargeJ": [_short(value) for value in (simulation.charge_j.min(), simulation.charge_j.mean())],
        "positions": _base64(np.rint(snapshot.position_m / step_m).astype("<i2")),
        "gatewaysM": np.rint(snapshot.gateway_position_m).astype(np.int64).tolist(),
        "shown": shown.tolist(),
        "hidden": hidden,
        "rows": _rows(played, before, shown),
        "sender": _senders(played, before, shown),
        "chargesJ": _shorts(simulation.charge_j[shown]),
        "losses": _shorts(simulation.test.loss[shown]),
        "metrics": _shorts(judged[shown]),
    }


def _reasons(report: RoundReport | None) -> dict[str, int]:
    """Why updates were lost: how many by each outcome."""
    if report is None:
        return {}
    outcomes, numbers = np.unique(report.outcome[report.lost], return_counts=True)
    return {Outcome(outcome).name.lower(): int(number) for outcome, number in zip(outcomes, numbers, strict=True)}


def _are_many(simulation: Simulation) -> bool:
    return simulation.scene.num_satellites > FEW


def _shown(simulation: Simulation, report: RoundReport | None) -> tuple[IntArray, int]:
    """Satellites in the table, and how many that took part in the round are left out."""
    if not _are_many(simulation):
        return np.arange(simulation.scene.num_satellites), 0
    took_part = np.flatnonzero(report.outcome != Outcome.SAT_OUT) if report is not None else np.arange(0)
    return took_part[:MOST_ROWS], max(len(took_part) - MOST_ROWS, 0)


def _rows(played: PlayedRound, before: Before, shown: IntArray) -> list[list[Any]] | None:
    """The columns of the table; None for the untrained federation."""
    if played.decision is None or played.report is None:
        return None
    columns = (column.of(before.state, played.decision, played.report) for column in COLUMNS)
    return [_shorts(np.asarray(values)[shown]) for values in columns]


def _senders(played: PlayedRound, before: Before, shown: IntArray) -> list[int] | None:
    """The satellite that sends for each in the table, where models are relayed."""
    sender = before.snapshot.sender
    if played.decision is None or sender is None:
        return None
    own: list[int] = (sender if sender.ndim == 1 else sender[played.decision.pairs])[shown].tolist()
    return own


def _shorts(values: FloatArray | IntArray) -> list[Any]:
    return [_short(value) for value in values.tolist()]


def _short(value: float, digits: int = 4) -> float:
    """A number to some significant digits; whole numbers stay as they are."""
    return value if isinstance(value, int) else float(f"{value:.{digits}g}")


def _base64(values: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()
