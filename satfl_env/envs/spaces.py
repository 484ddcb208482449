"""The environment's spaces, and the translation between them and the simulation's `NetworkState` and `Decision`.

`S` is the number of satellites, `G` the number of gateways.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, iterate
from numpy.typing import NDArray

from satfl_env.orbits import Scene
from satfl_env.simulation import (
    MORE_PARTS,
    OPTIONAL_CHOICES,
    Decision,
    Ingredients,
    NetworkState,
    When,
    check_decision,
    most_samples,
)

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
# Arrays by key; Gymnasium types the values of `spaces.Dict` as `Any`.
Observation = dict[str, Any]
Action = dict[str, Any]

# Training losses have no natural bound; a cross-entropy of 10 is a probability of 5e-5 for the right label.
MAX_LOSS = 10.0

# Numbers in a part of an observation from which on its own clipping costs less than bounds for each of them.
_LARGE = 4096

# The settings that let an action have what it may leave out.
_LET_IN_BY = {"aggregate": "rounds.aggregate: decided", "bandwidth": "access.sharing: decided"}

# From an observation's entry to the type of the state's field.
_CASTS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "int": lambda entry: round(float(entry[0])),
    "float": lambda entry: float(entry[0]),
    "FloatArray": lambda entry: entry,
    "IntArray": lambda entry: np.rint(entry).astype(np.int64),
    "BoolArray": lambda entry: entry.astype(np.bool_),
    "BoolArray | None": lambda entry: entry.astype(np.bool_),
}


def any_scene(ingredients: Ingredients) -> Scene:
    """A scene for its sizes and bounds, which are the same for all draws."""
    return ingredients.scene(np.random.default_rng(0))


def action_space(ingredients: Ingredients, scene: Scene) -> spaces.Dict:
    """The native action space of a scene; see `SatFLEnv` for its parts."""
    chosen = (("aggregate", ingredients.rounds.decides), ("bandwidth", ingredients.access.takes_bandwidth))
    return actions_of_size(scene.num_satellites, scene.num_gateways, [name for name, there in chosen if there])


def actions_of_size(num_satellites: int, num_gateways: int, optional: Collection[str]) -> spaces.Dict:
    """The native action space for some satellites and gateways, with some of the parts that are not always there."""
    timing = [("aggregate", spaces.MultiDiscrete([len(When)] * (num_gateways + 1)))]
    # Double precision: a frequency rounded to float32 would lose the last epoch at the optimum.
    bandwidth = [("bandwidth", spaces.Box(0.0, 1.0, (num_satellites,), np.float64))]
    return spaces.Dict(
        [
            ("association", spaces.MultiDiscrete([num_gateways + 1] * num_satellites)),
            ("cpu_frequency", spaces.Box(0.0, 1.0, (num_satellites,), np.float64)),
            ("cluster", spaces.MultiDiscrete([num_satellites] * num_satellites)),
            ("weights", spaces.Box(0.0, 1.0, (num_satellites,), np.float64)),
            ("gateway_weights", spaces.Box(0.0, 1.0, (num_gateways,), np.float64)),
            *(timing if "aggregate" in optional else []),
            *(bandwidth if "bandwidth" in optional else []),
        ]
    )


def observation_space(ingredients: Ingredients, scene: Scene, parts: Collection[str]) -> spaces.Dict:
    """One entry for each of some parts of `NetworkState`, with bounds that hold for every seed.

    Args:
        ingredients: What the simulation is made of.
        scene: A scene of it; see `any_scene`.
        parts: The parts that are observed, in any order.
    """
    rounds, forecast = ingredients.rounds, ingredients.forecast
    links, energy, computer = ingredients.equipment.having(ingredients.fleet.highest)
    satellites, gateways = scene.num_satellites, scene.num_gateways
    # Counted over half of both transfers, of which a compressed download may leave the upload nearly all.
    compression = ingredients.compression
    counted_share = 1 if compression.upload is compression.download is None else 2
    per_satellite, per_pair = (satellites,), (satellites, gateways)

    # Bounds take as much memory as what they bound, so they are made for observed parts only.
    makers: dict[str, Callable[[], spaces.Space[Any]]] = {
        "round": lambda: _box(rounds.episode, (1,)),
        "time_s": lambda: _box(rounds.longest_s(scene.horizon_s), (1,)),
        "position_m": lambda: _box(scene.max_position_m, (satellites, 3), signed=True),
        "velocity_mps": lambda: _box(scene.max_speed_mps, (satellites, 3), signed=True),
        "distance_m": lambda: _box(scene.max_distance_m, per_pair),
        "visible": lambda: spaces.Box(0, 1, per_pair, np.int8),
        "window_s": lambda: _box(scene.horizon_s, per_pair),
        "rate_bps": lambda: _box(links.highest_rate_bps(scene.min_distance_m), per_pair),
        "link_s": lambda: _box(scene.horizon_s, per_pair),
        "energy_j": lambda: _box(energy.highest_j, per_satellite),
        "transmit_power_w": lambda: _box(counted_share * float(np.max(links.transmit_power_w)) or 1.0, per_satellite),
        "samples": lambda: _box(most_samples(ingredients, scene), per_satellite),
        "last_loss": lambda: _box(MAX_LOSS, per_satellite),
        "last_epochs": lambda: _box(ingredients.max_epochs, per_satellite),
        "cluster": lambda: spaces.MultiDiscrete([satellites] * satellites),
        "similarity": lambda: _box(1.0, (satellites, satellites)),
        "update_similarity": lambda: _box(1.0, (satellites, satellites), signed=True),
        "cpu_max_hz": lambda: _box(float(np.max(computer.cpu_max_hz)), per_satellite),
        "cycles_per_sample": lambda: _box(float(np.max(computer.cycles_per_sample)), per_satellite),
        "kappa": lambda: _box(float(np.max(computer.kappa)), per_satellite),
        "max_epochs": lambda: _box(ingredients.max_epochs, per_satellite),
        "satellite_up": lambda: spaces.Box(0, 1, per_satellite, np.int8),
        "gateway_up": lambda: spaces.Box(0, 1, (gateways,), np.int8),
        "contact_start_s": lambda: _box(forecast.reach_s(scene), (*per_pair, forecast.contacts)),
        "contact_end_s": lambda: _box(forecast.reach_s(scene), (*per_pair, forecast.contacts)),
        "eclipse_start_s": lambda: _box(forecast.reach_s(scene), per_satellite),
        "eclipse_end_s": lambda: _box(forecast.reach_s(scene), per_satellite),
        "gateway_version": lambda: _box(rounds.episode, (gateways, satellites)),
        "rounds_to_merge": lambda: _box(rounds.cloud_every, (1,)),
        "rounds_left": lambda: _box(rounds.episode, (1,)),
        "waiting": lambda: _box(satellites * rounds.episode, (gateways,)),
        "beams": lambda: _box(satellites, (gateways,)),
        "cluster_loss": lambda: _box(MAX_LOSS, (satellites, rounds.broadcast)),
    }
    health = () if ingredients.faults is None else ("satellite_up", "gateway_up")
    chosen = (("waiting",) if rounds.decides else ()) + (("cluster_loss",) if rounds.broadcast > 1 else ())
    shown = {*parts, *health, *chosen}
    return spaces.Dict([(part, make()) for part, make in makers.items() if part in shown])


class ObservationWriter:
    """Writes states as observations of one space.

    Small parts are written as one array, since each alone would cost several calls: float64 holds what all types hold.

    Args:
        space: The observation space.
    """

    def __init__(self, space: spaces.Dict) -> None:
        self._keys = tuple(space)
        self._large = {
            key: (part.shape, part.dtype, *(_as_scalar(bound) for bound in bounds(part)))
            for key, part in space.items()
            if np.prod(part.shape or ()) > _LARGE
        }
        small = {key: part for key, part in space.items() if key not in self._large}
        lows, highs = ([bounds(part)[end] for part in small.values()] for end in (0, 1))
        self._low, self._high = _in_a_row(lows), _in_a_row(highs)
        ends = accumulate((low.size for low in lows), initial=0)
        self._small = [
            (key, slice(*place), low.shape) for key, place, low in zip(small, pairwise(ends), lows, strict=True)
        ]
        self._types = [(key, part.dtype) for key, part in small.items() if part.dtype != np.float64]

    def __call__(self, state: NetworkState) -> Observation:
        """The observation of a state: the same fields, clipped to the space's bounds, in fresh arrays."""
        observation: Observation = dict.fromkeys(self._keys)
        values = _in_a_row(getattr(state, key) for key, *_ in self._small).clip(self._low, self._high)
        for key, place, shape in self._small:
            observation[key] = values[place].reshape(shape)
        for key, dtype in self._types:
            observation[key] = observation[key].astype(dtype)
        for key, (shape, dtype, low, high) in self._large.items():
            written = observation[key] = np.empty(shape, dtype)
            np.asarray(getattr(state, key)).reshape(shape).clip(low, high, out=written, casting="unsafe")
        return observation


def _in_a_row(parts: Iterable[NDArray[Any]]) -> FloatArray:
    """All numbers of some arrays, of any shape and type, one after the other."""
    return np.concatenate([np.zeros(0), *parts], axis=None)


def observation_to_state(observation: Mapping[str, NDArray[Any]]) -> NetworkState:
    """The state an observation shows, exact up to clipping; so a policy can decide from observations alone.

    The state has the parts that the observation has.
    """
    seen = [field for field in fields(NetworkState) if field.name in observation]
    parts = {field.name: _CASTS[str(field.type)](observation[field.name]) for field in seen}
    more = {name: parts.pop(name) for name in MORE_PARTS if name in parts}
    return NetworkState.of(parts, more)


def _checked_keys(action: object, space: spaces.Dict, *batch: int) -> Mapping[str, Any]:
    """The parts of an action, or of a batch.

    Those that may be left out are then zeros: aggregation as scheduled, equal shares of the band.
    """
    if not isinstance(action, Mapping):
        raise ValueError(f"the action must be a dict with the keys {list(space)}, got {type(action).__name__}")
    if action.keys() == space.spaces.keys():
        return action
    left_out = {
        key: np.zeros((*batch, *(part.shape or ())), part.dtype)
        for key, part in space.spaces.items()
        if key in OPTIONAL_CHOICES
    }
    action = {**left_out, **action}
    missing = [key for key in space.spaces if key not in action]
    unknown = [key for key in action if key not in space.spaces]
    problems = [f"{words} {keys}" for words, keys in (("lacks", missing), ("has unknown", unknown)) if keys]
    if problems:
        settings = "".join(f"; {key} needs {_LET_IN_BY[key]}" for key in unknown if key in _LET_IN_BY)
        raise ValueError(
            f"the action must be a dict with the keys {list(space)}; it {' and '.join(problems)}{settings}"
        )
    return action


def action_to_decision(action: object, space: spaces.Dict, cpu_max_hz: FloatArray) -> Decision:
    """The decision an action stands for.

    Args:
        action: A value of the native action space.
        space: That space.
        cpu_max_hz: Highest CPU frequency of each satellite, (S,).

    Raises:
        ValueError: If the action is outside the space; the message names the key, the value and what is allowed.
    """
    values = _checked_keys(action, space)
    parts = {key: checked_array(f"action[{key!r}]", values[key], part) for key, part in space.spaces.items()}
    return Decision(**{**parts, "cpu_frequency": parts["cpu_frequency"] * cpu_max_hz})


def checked_batch(actions: object, space: spaces.Space[Any], played: BoolArray, name: str) -> Any:
    """A batch of actions, key by key as arrays of the type of the space.

    Args:
        actions: One row for each environment, in the batched form of the space.
        space: The action space of a single environment.
        played: Environments that play their action, (N,); the rows of the others may hold anything.
        name: What the actions are called in messages.

    Raises:
        ValueError: If there are not as many rows as environments, or a row that is played is outside the space.
    """
    if isinstance(space, spaces.Dict):
        values = _checked_keys(actions, space, len(played))
        return {key: checked_batch(values[key], part, played, f"{name}[{key!r}]") for key, part in space.items()}
    if not isinstance(space, spaces.Box | spaces.MultiDiscrete):
        return _checked_rows(actions, space, played, name)
    shape = (len(played), *space.shape)
    batch = _as_array(name, actions, shape)
    if batch.shape != shape:
        raise ValueError(
            f"actions must have shape {shape}, one row for each of {len(played)} environments; got {batch.shape} "
            f"for {name}"
        )
    _check_type(name, batch, space)
    if not _inside(batch[played], space).all():
        for index in np.flatnonzero(played).tolist():
            _check_values(f"environment {index}: {name}", batch[index], space)
    return batch.astype(space.dtype, casting="unsafe")


def _checked_rows(actions: Any, space: spaces.Space[Any], played: BoolArray, name: str) -> Any:
    """A batch of actions of any other space."""
    try:
        rows = list(iterate(batch_space(space, len(played)), actions))
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ValueError(f"{name} must be a batch of {space}, got {reprlib.repr(actions)}") from error
    if len(rows) != len(played):
        raise ValueError(f"actions must be one row for each of {len(played)} environments; got {len(rows)} for {name}")
    for index in np.flatnonzero(played).tolist():
        if rows[index] not in space:
            raise ValueError(f"environment {index}: {name} must lie in {space}, got {reprlib.repr(rows[index])}")
    return actions


def decision_to_action(decision: Decision, state: NetworkState) -> Action:
    """The native action that stands for a decision in a state.

    Weights are divided by the highest where that exceeds 1; only their proportions count.

    Raises:
        ValueError: If the decision does not fit the state; the message names the field, its value and what is allowed.
    """
    check_decision(decision, state)
    timing = {} if decision.aggregate is None else {"aggregate": decision.aggregate.astype(np.int64)}
    share = decision.bandwidth
    bandwidth = {} if share is None else {"bandwidth": share / max(1.0, share.max())}
    return {
        "association": decision.association.astype(np.int64),
        "cpu_frequency": np.clip(decision.cpu_frequency / state.cpu_max_hz, 0.0, 1.0),
        "cluster": decision.cluster.astype(np.int64),
        "weights": decision.weights / max(1.0, decision.weights.max()),
        "gateway_weights": decision.gateway_weights / max(1.0, decision.gateway_weights.max()),
        **timing,
        **bandwidth,
    }


def association_mask(state: NetworkState) -> BoolArray:
    """Which associations can bring an update back, (S, G + 1): visible gateways, and sitting out."""
    mask = np.ones((state.num_satellites, state.num_gateways + 1), dtype=np.bool_)
    mask[:, :-1] = state.visible
    return mask


def checked_array(name: str, value: object, space: spaces.Space[Any]) -> NDArray[Any]:
    """A value as an array of a `Box` or `MultiDiscrete` space.

    Raises:
        ValueError: If it has the wrong shape or type, is not finite or out of bounds.
    """
    array = _as_array(name, value, space.shape)
    if array.shape != space.shape:
        raise ValueError(f"{name} must be an array of shape {space.shape}, got {_shape_or_type(array, value)}")
    _check_type(name, array, space)
    _check_values(name, array, space)
    return array.astype(space.dtype)


def _as_array(name: str, value: object, shape: tuple[int, ...] | None) -> NDArray[Any]:
    if np.ma.is_masked(value):
        raise ValueError(f"{name} must have a value everywhere, got a masked array with gaps")
    try:
        return np.asarray(value)
    except Exception as error:  # whatever an object's own conversion raises
        raise ValueError(f"{name} must be an array of shape {shape}, got {reprlib.repr(value)}") from error


def _shape_or_type(array: NDArray[Any], value: object) -> str:
    return type(value).__name__ if array.dtype == object and array.shape == () else f"shape {array.shape}"


def _allowed(space: spaces.Space[Any]) -> tuple[str, str]:
    """What arrays of a space may hold, in words and as NumPy's kinds of types."""
    return ("integers", "iu") if isinstance(space, spaces.MultiDiscrete) else ("numbers", "iuf")


def _check_type(name: str, array: NDArray[Any], space: spaces.Space[Any]) -> None:
    allowed, kinds = _allowed(space)
    if array.dtype.kind not in kinds:
        raise ValueError(f"{name} must hold {allowed}, got dtype {array.dtype}")


def _check_values(name: str, array: NDArray[Any], space: spaces.Space[Any]) -> None:
    inside = _inside(array, space)
    if inside.all():
        return
    index = tuple(np.argwhere(~inside)[0].tolist())
    (low, high), (allowed, _) = bounds(space), _allowed(space)
    raise ValueError(
        f"{name} must hold {allowed} in [{low[index]:g}, {high[index]:g}], got {array[index]} at index {index[0]}"
    )


def _inside(array: NDArray[Any], space: spaces.Space[Any]) -> BoolArray:
    """Where values lie inside a space, (..., *shape of the space); NaN lies outside, since it compares as false."""
    low, high = bounds(space)
    return np.asarray((array >= low) & (array <= high))


def bounds(space: spaces.Space[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lowest and highest values of a `Box` or `MultiDiscrete` space, each in the space's shape.

    Raises:
        TypeError: If the space is of another kind.
    """
    if isinstance(space, spaces.Box):
        return space.low, space.high
    if isinstance(space, spaces.MultiDiscrete):
        return space.start, space.start + space.nvec - 1
    raise TypeError(f"only Box and MultiDiscrete spaces have bounds, got {space}")


def _box(high: float, shape: tuple[int, ...], *, signed: bool = False) -> spaces.Box:
    return spaces.Box(-high if signed else 0.0, high, shape, np.float64)


def _as_scalar(bound: NDArray[Any]) -> Any:
    """One number for a bound that is the same everywhere: a large array costs as much to read as what it bounds."""
    first = bound.flat[0]
    return first if (bound == first).all() else bound
