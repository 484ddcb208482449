"""The user's own parts in place of a scenario's: what each must have, and how it is tried."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from satfl_env.federated import TrainableModel
from satfl_env.onboard import COMPUTER_VALUES
from satfl_env.simulation import trials
from satfl_env.simulation.ingredients import Ingredients
from satfl_env.suggestions import did_you_mean


def _as_it_is(part: Any) -> Any:
    return part


def model_factory(part: Any) -> Callable[[], TrainableModel]:
    """The factory of a part's models: it calls a class or function, and copies a model.

    Making one leaves the global random state as it was.

    Args:
        part: A model, or a class or function without arguments that makes one. The factory raises a TypeError if
            making a model fails.
    """
    return partial(_make_model, part)


def _make_model(part: Any) -> TrainableModel:
    is_model = isinstance(part, nn.Module)
    try:
        with torch.random.fork_rng(devices=[]):
            model: TrainableModel = copy.deepcopy(part) if is_model else part()
    except TypeError as error:
        raise TypeError(f"parts['model'] must make a model when it is called without arguments: {error}") from error
    return model


@dataclass(frozen=True)
class Part:
    """A part that a user can replace.

    Attributes:
        form: Its form in one line.
        trial: Uses it once, and checks what it gives.
        methods: Methods that it must have; it must also be callable where the form says so.
        values: Attributes that it must have.
        adapt: Brings it into the form that `Ingredients` takes.
    """

    form: str
    trial: Callable[[trials.Trial], None]
    methods: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    adapt: Callable[[Any], Any] = _as_it_is

    @property
    def is_factory(self) -> bool:
        """Whether the part itself is called."""
        return not (self.methods or self.values)


PARTS: Mapping[str, Part] = {
    "scene": Part("(rng: numpy.random.Generator) -> Scene", trials.try_scene),
    "links": Part(
        "an object that gives the rates for a snapshot of the scene",
        trials.try_links,
        methods=("solo_rate_bps", "associated_rate_bps", "highest_rate_bps"),
        values=("transmit_power_w",),
    ),
    "access": Part(
        "an object that says which satellites gateways serve, and how these share the band",
        trials.try_access,
        methods=("served", "shares"),
        values=("most_served", "takes_bandwidth"),
    ),
    "energy": Part(
        "an object that gives the energy for training",
        trials.try_energy,
        methods=("first_charge_j", "available_j", "charge_after_j"),
        values=("highest_j",),
    ),
    "computer": Part(
        "an object with three numbers, each common to all satellites or one per satellite",
        trials.try_computer,
        values=COMPUTER_VALUES,
    ),
    "fleet": Part(
        "an object that gives the values in which satellites differ",
        trials.try_fleet,
        methods=("draw",),
        values=("highest",),
    ),
    "data": Part("(scene: Scene, rng: numpy.random.Generator) -> FederatedData", trials.try_data),
    "model": Part("() -> SemanticModel, such as its class, or a SemanticModel", trials.try_model, adapt=model_factory),
    "protocol": Part(
        "a round protocol, such as OneContact or a subclass of it",
        trials.try_protocol,
        methods=("contacts", "participate", "start", "aggregate", "fetches", "hand_out"),
    ),
    "faults": Part(
        "an object that says what fails, such as Faults or one of a subclass of it",
        trials.try_faults,
        methods=("satellite_outages", "gateway_outages", "breaks_s", "upset_probability"),
    ),
    "compression": Part(
        "a Compression, of compressors that may be your own",
        trials.try_compression,
        methods=("upload_share", "download_share", "send", "fetch"),
        values=("upload", "download", "error_feedback"),
    ),
    "server": Part(
        "an object that moves models along their updates",
        trials.try_server,
        methods=("step",),
        values=("first_moments",),
    ),
    "local": Part(
        "an object that makes the terms beside the loss, such as FedProx or Scaffold",
        trials.try_local,
        methods=("episode",),
        values=("extra_vectors",),
    ),
    "combine": Part("(updates: Tensor (n, P), weights: Tensor (n,)) -> Tensor (P,)", trials.try_combine),
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
        _check_form(name, part)
    return {name: PARTS[name].adapt(part) for name, part in parts.items()}


def _check_form(name: str, part: Any) -> None:
    form = PARTS[name]
    what = f"parts[{name!r}] must be {form.form}"
    if inspect.isclass(part) and not form.is_factory:
        raise TypeError(f"{what}; got the class {part.__name__} instead of an object of it")
    if form.is_factory and not callable(part):
        raise TypeError(f"{what}; got {type(part).__name__}, which cannot be called")
    trials.require(what, part, methods=form.methods, values=form.values)


def try_parts(ingredients: Ingredients, own: Mapping[str, Any]) -> None:
    """Use each of the user's own parts once, so that errors are raised here and not in some later round.

    Args:
        ingredients: The ingredients with these parts in them.
        own: The parts, as `check_parts` gives them.

    Raises:
        TypeError: If a part returns something of the wrong type.
        ValueError: If it returns numbers of the wrong shape, or impossible ones.
    """
    trial = trials.Trial(ingredients)
    for name, part in PARTS.items():
        if name in own:
            part.trial(trial)
