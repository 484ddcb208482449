"""The user's own parts in place of a scenario's: what each must have, and its checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from satfl_env.orbits import Scene, SceneSnapshot
from satfl_env.semantics import check_model, model_factory
from satfl_env.simulation.ingredients import FederatedData, Ingredients
from satfl_env.suggestions import did_you_mean


@dataclass(frozen=True)
class Part:
    """A part that a user can replace.

    Attributes:
        form: Its form in one line.
        methods: Methods that it must have; it must also be callable where the form says so.
        values: Attributes that it must have.
    """

    form: str
    methods: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def is_factory(self) -> bool:
        """Whether the part itself is called."""
        return not (self.methods or self.values)


_SCENE = Part(
    "a Scene",
    ("at", "sunlit_s"),
    (
        "num_satellites",
        "num_gateways",
        "horizon_s",
        "min_distance_m",
        "max_distance_m",
        "max_position_m",
        "max_speed_mps",
    ),
)

PARTS: Mapping[str, Part] = {
    "scene": Part("(rng: numpy.random.Generator) -> Scene"),
    "links": Part(
        "an object with rates, from a snapshot of the scene",
        ("solo_rate_bps", "associated_rate_bps", "highest_rate_bps"),
        ("transmit_power_w",),
    ),
    "energy": Part(
        "an object that gives energy for training",
        ("first_charge_j", "available_j", "charge_after_j"),
        ("highest_j",),
    ),
    "computer": Part(
        "an object with numbers, each for all satellites or one per satellite",
        values=("cpu_max_hz", "cycles_per_sample", "kappa"),
    ),
    "data": Part("(scene: Scene, rng: numpy.random.Generator) -> FederatedData"),
    "model": Part("() -> SemanticModel, such as its class, or a SemanticModel"),
    "protocol": Part(
        "an object that says who trains when, such as OneContact or a subclass of it",
        ("contacts", "participate", "start", "aggregate", "fetches"),
    ),
    "combine": Part("(updates: Tensor (n, P), weights: Tensor (n,)) -> Tensor (P,)"),
}


def check_parts(parts: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parts in the form that `Ingredients` takes.

    Raises:
        TypeError: If a part's name is unknown, or a part lacks a method or a value; the message names both.
    """
    if parts is None:
        return {}
    if not isinstance(parts, Mapping):
        raise TypeError(f"parts must be a mapping of names to parts, got {type(parts).__name__}")
    for name, part in parts.items():
        if name not in PARTS:
            raise TypeError(f"unknown part {name!r}{did_you_mean(str(name), PARTS)}; there are: {', '.join(PARTS)}")
        _require(name, part, PARTS[name])
    return {name: model_factory(part) if name == "model" else part for name, part in parts.items()}


def _require(name: str, part: Any, form: Part) -> None:
    what = f"parts[{name!r}] must be {form.form}"
    if inspect.isclass(part) and not form.is_factory:
        raise TypeError(f"{what}; got the class {part.__name__} instead of an object of it")
    if form.is_factory and not callable(part):
        raise TypeError(f"{what}; got {type(part).__name__}, which cannot be called")
    for method in form.methods:
        if not callable(getattr(part, method, None)):
            raise TypeError(f"{what}; {type(part).__name__} lacks the method {method}()")
    for value in form.values:
        if not hasattr(part, value):
            raise TypeError(f"{what}; {type(part).__name__} lacks {value}")


def try_parts(ingredients: Ingredients, own: Mapping[str, Any]) -> None:
    """Use each of the user's own parts once, so that errors are raised here and not in some later round.

    Args:
        ingredients: The ingredients with these parts in them.
        own: The parts, as `check_parts` gives them.

    Raises:
        TypeError: If a part returns something of the wrong type.
        ValueError: If it returns numbers of the wrong shape, or impossible ones.
    """
    if not own:
        return
    scene = ingredients.scene(np.random.default_rng(0))
    if "scene" in own:
        _require("scene", scene, _SCENE)
    snapshot = scene.at(0.0)
    trials = {name: trial for name, trial in _TRIALS.items() if name in own}
    for trial in trials.values():
        trial(ingredients, scene, snapshot)


def _try_scene(ingredients: Ingredients, scene: Scene, snapshot: SceneSnapshot) -> None:
    satellites, gateways = scene.num_satellites, scene.num_gateways
    shapes = {
        "position_m": (satellites, 3),
        "velocity_mps": (satellites, 3),
        "gateway_position_m": (gateways, 3),
        "distance_m": (satellites, gateways),
        "visible": (satellites, gateways),
        "window_s": (satellites, gateways),
    }
    for name, shape in shapes.items():
        _check_numbers(f"parts['scene'].at(0).{name}", getattr(snapshot, name), shape)
    _check_numbers("parts['scene'].sunlit_s(0, 60)", scene.sunlit_s(0.0, 60.0), (satellites,), lowest=0.0)


def _try_links(ingredients: Ingredients, scene: Scene, snapshot: SceneSnapshot) -> None:
    links, pairs = ingredients.links, snapshot.distance_m.shape
    _check_numbers("parts['links'].transmit_power_w", links.transmit_power_w, (), lowest=0.0)
    _check_numbers("parts['links'].solo_rate_bps()", links.solo_rate_bps(snapshot), pairs, lowest=0.0)
    everyone = np.zeros(pairs[0], dtype=np.int64)
    rate_bps = links.associated_rate_bps(snapshot, everyone)
    _check_numbers("parts['links'].associated_rate_bps()", rate_bps, pairs[:1], lowest=0.0)
    highest_bps = links.highest_rate_bps(scene.min_distance_m)
    _check_numbers("parts['links'].highest_rate_bps()", highest_bps, (), lowest=0.0)


def _try_energy(ingredients: Ingredients, scene: Scene, snapshot: SceneSnapshot) -> None:
    energy, each = ingredients.energy, (scene.num_satellites,)
    _check_numbers("parts['energy'].highest_j", energy.highest_j, (), lowest=0.0)
    charge_j = energy.first_charge_j(scene.num_satellites)
    _check_numbers("parts['energy'].first_charge_j()", charge_j, each)
    available_j = energy.available_j(charge_j, np.random.default_rng(0))
    _check_numbers("parts['energy'].available_j()", available_j, each, lowest=0.0)
    after_j = energy.charge_after_j(charge_j, spent_j=np.zeros(each), sunlit_s=np.zeros(each), duration_s=60.0)
    _check_numbers("parts['energy'].charge_after_j()", after_j, each)


def _try_computer(ingredients: Ingredients, scene: Scene, snapshot: SceneSnapshot) -> None:
    for name in PARTS["computer"].values:
        value, each = getattr(ingredients.computer, name), (scene.num_satellites,)
        shape = () if np.ndim(value) == 0 else each
        _check_numbers(f"parts['computer'].{name}", value, shape, lowest=np.finfo(float).tiny)


def _try_data(ingredients: Ingredients, scene: Scene, snapshot: SceneSnapshot) -> None:
    data = ingredients.data(scene, np.random.default_rng(0))
    if not isinstance(data, FederatedData):
        raise TypeError(f"parts['data'] must be {PARTS['data'].form}; it gave {type(data).__name__}")
    if data.train.num_satellites != scene.num_satellites:
        raise ValueError(
            f"parts['data'] must hold samples of {scene.num_satellites} satellites, got {data.train.num_satellites}"
        )
    for name in ("label_pmf", "test_weights"):
        value = np.asarray(getattr(data, name))
        _check_numbers(f"parts['data'].{name}", value, value.shape, lowest=0.0)


def _try_model(ingredients: Ingredients, scene: Scene, snapshot: SceneSnapshot) -> None:
    train = ingredients.data(scene, np.random.default_rng(0)).train
    first = slice(*train.offsets[:2])
    mask = None if train.output_mask is None else train.output_mask[0]
    check_model(ingredients.model(), train.images[first], train.targets[first], mask)


def _try_protocol(ingredients: Ingredients, scene: Scene, snapshot: SceneSnapshot) -> None:
    contacts = ingredients.protocol.contacts(snapshot, 1.0)
    for name in ("sender", "carry_s"):
        value = getattr(contacts, name, None)
        _check_numbers(f"parts['protocol'].contacts().{name}", value, snapshot.distance_m.shape, lowest=0.0)


def _try_combine(ingredients: Ingredients, scene: Scene, snapshot: SceneSnapshot) -> None:
    combined = ingredients.combine(torch.eye(3, 4), torch.full((3,), 1 / 3))
    _check_numbers("parts['combine']()", combined, (4,))


_TRIALS: Mapping[str, Callable[[Ingredients, Scene, SceneSnapshot], None]] = {
    "scene": _try_scene,
    "links": _try_links,
    "energy": _try_energy,
    "computer": _try_computer,
    "data": _try_data,
    "model": _try_model,
    "protocol": _try_protocol,
    "combine": _try_combine,
}


def _check_numbers(name: str, value: Any, shape: tuple[int, ...], *, lowest: float = -np.inf) -> None:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numbers of shape {shape}, got {value!r}") from error
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all() or (array < lowest).any():
        limit = "finite" if lowest == -np.inf else f"finite and at least {lowest:g}"
        raise ValueError(f"{name} must be {limit}, got {array[~(np.isfinite(array) & (array >= lowest))].flat[0]}")
