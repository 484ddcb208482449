"""Trials of a user's own parts: each is used once, and what it gives is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from satfl_env.counted import counted
from satfl_env.federated import combine_updates, server_step
from satfl_env.onboard import COMPUTER_VALUES, Supply, as_supply
from satfl_env.orbits import Scene, SceneSnapshot
from satfl_env.semantics import check_model
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.faults import Outages
from satfl_env.simulation.federated_data import FederatedData
from satfl_env.simulation.fleet import Equipment
from satfl_env.simulation.ingredients import Ingredients
from satfl_env.simulation.local_terms import LocalTerms
from satfl_env.simulation.state import FloatArray, NetworkState

_SCENE_METHODS = ("at", "sunlit_s")
_SCENE_VALUES = (
    "num_satellites",
    "num_gateways",
    "horizon_s",
    "min_distance_m",
    "max_distance_m",
    "max_position_m",
    "max_speed_mps",
)
# What a scene may know of what is to come, and what the rows of each are.
_FORESIGHT = {"contacts": "pair", "eclipses": "satellite"}
_SUPPLY_METHODS, _SUPPLY_VALUES = ("stored_j", "balance"), ("counts_transmission", "standing_w")
# Duration of a round that is tried, in s.
_TRIED_S = 60.0
# Models and parameters of compressors and server optimisers that are tried.
_TRIED_SHAPE = (3, 4)
# Bounds are kept up to rounding.
_ROUNDING = 1 - 1e-9


@dataclass(frozen=True)
class Trial:
    """What parts are tried with; the scene and the data are drawn once, when first needed."""

    ingredients: Ingredients

    @cached_property
    def scene(self) -> Scene:
        """A scene."""
        return self.ingredients.scene(np.random.default_rng(0))

    @cached_property
    def drawn(self) -> Mapping[str, FloatArray]:
        """The values of the scene's satellites in which they differ; each must be one of links, energy or computer."""
        drawn = self.ingredients.fleet.draw(self.scene.num_satellites, np.random.default_rng(0))
        for name in drawn:
            if not any(hasattr(part, name) for part in self.ingredients.equipment):
                raise ValueError(f"the fleet must draw values that links, energy or computer have, got {name!r}")
        return drawn

    @property
    def equipment(self) -> Equipment:
        """What the scene's satellites are equipped with."""
        return self.ingredients.equipment.having(self.drawn)

    @cached_property
    def snapshot(self) -> SceneSnapshot:
        """The scene at its start."""
        return self.scene.at(0.0)

    @cached_property
    def data(self) -> FederatedData:
        """The data of its satellites."""
        return self.ingredients.data(self.scene, np.random.default_rng(0))


def try_scene(trial: Trial) -> None:
    """Check what a scene states, and a snapshot of it."""
    scene = trial.scene
    require("parts['scene'] must be a Scene", scene, methods=_SCENE_METHODS, values=_SCENE_VALUES)
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
        lowest = 0.0 if name in ("distance_m", "window_s") else -np.inf
        _check_numbers(f"parts['scene'].at(0).{name}", getattr(trial.snapshot, name), shape, lowest=lowest)
    for name in _SCENE_VALUES[2:]:
        _check_numbers(f"parts['scene'].{name}", getattr(scene, name), (), lowest=0.0)
    _check_numbers("parts['scene'].sunlit_s(0, 60)", scene.sunlit_s(0.0, _TRIED_S), (satellites,), lowest=0.0)
    if any(hasattr(scene, method) for method in _FORESIGHT):
        _try_foresight(scene)


def _try_foresight(scene: Any) -> None:
    """Check the contacts and eclipses of a minute."""
    what = "parts['scene'] must be a ForeseenScene, since it has a part of one"
    require(what, scene, methods=tuple(_FORESIGHT), values=())
    for method, row_is in _FORESIGHT.items():
        name = f"parts['scene'].{method}(0, 60)"
        num_rows = scene.num_satellites * (scene.num_gateways if row_is == "pair" else 1)
        row, start_s, end_s = (np.asarray(values) for values in getattr(scene, method)(0.0, _TRIED_S))
        for part, values in (("row", row), ("start_s", start_s), ("end_s", end_s)):
            _check_numbers(f"{name}.{part}", values, row.shape, lowest=0.0)
        if row.ndim != 1 or (row >= num_rows).any():
            raise ValueError(f"{name}.row must be one {row_is} each, below {num_rows}, got {row}")
        if (end_s < start_s).any() or (end_s > _TRIED_S).any():
            raise ValueError(f"{name} must lie in 0..60 s and not end before they begin, got {start_s}, {end_s}")


def try_links(trial: Trial) -> None:
    """Check the rates of links at the scene's start."""
    links, snapshot = trial.equipment.links, trial.snapshot
    pairs = snapshot.distance_m.shape
    _check_each("parts['links'].transmit_power_w", links.transmit_power_w, trial, lowest=0.0)
    solo_bps = _check_numbers("parts['links'].solo_rate_bps()", links.solo_rate_bps(snapshot), pairs, lowest=0.0)
    everyone = np.zeros(pairs[0], dtype=np.int64)
    rate_bps = links.associated_rate_bps(snapshot, everyone)
    _check_numbers("parts['links'].associated_rate_bps()", rate_bps, pairs[:1], lowest=0.0)
    try_access(trial)
    highest_bps = links.highest_rate_bps(trial.scene.min_distance_m)
    _check_numbers("parts['links'].highest_rate_bps()", highest_bps, (), lowest=float(solo_bps.max()) * _ROUNDING)


def try_access(trial: Trial) -> None:
    """Let all satellites ask the first gateway for band, and check who is served and at what rate."""
    access, links, snapshot = trial.ingredients.access, trial.equipment.links, trial.snapshot
    if access.most_served is not None:
        _check_numbers("parts['access'].most_served", access.most_served, (), lowest=1.0)
    satellites, gateways = snapshot.distance_m.shape
    state = NetworkState.of(
        {
            "distance_m": snapshot.distance_m,
            "visible": np.ones_like(snapshot.visible),
            "window_s": np.full_like(snapshot.window_s, _TRIED_S),
            "rate_bps": links.solo_rate_bps(snapshot),
        }
    )
    first, ones = np.zeros(satellites, dtype=np.int64), np.ones(satellites)
    decision = Decision(first, ones, first, ones, np.ones(gateways))
    with blaming_part("access"):
        served = access.served(state, decision, ones > 0)
    served = _check_numbers("parts['access'].served()", served, (satellites,)) > 0
    if access.most_served is not None and served.sum() > access.most_served:
        raise ValueError(
            f"parts['access'].served() must serve most_served = {access.most_served} at most, got {served.sum()}"
        )
    with blaming_part("access"):
        share = access.shares(state, decision, served)
    if share is None:
        return
    share = _check_numbers("parts['access'].shares()", share, (satellites,), lowest=0.0)
    if share.sum() > 1 / _ROUNDING:
        raise ValueError(f"parts['access'].shares() must sum to 1 at most at each gateway, got {share.sum():g}")
    with blaming_part("links"):
        rate_bps = links.associated_rate_bps(snapshot, np.where(served, 0, gateways), share=share)
    _check_numbers("parts['links'].associated_rate_bps()", rate_bps, (satellites,), lowest=0.0)


def try_energy(trial: Trial) -> None:
    """Check the energy before and after one round."""
    energy, satellites = trial.equipment.energy, trial.scene.num_satellites
    each = (satellites,)
    charge_j = _check_numbers("parts['energy'].first_charge_j()", energy.first_charge_j(satellites), each)
    available_j = energy.available_j(charge_j, np.random.default_rng(0))
    available_j = _check_numbers("parts['energy'].available_j()", available_j, each, lowest=0.0)
    lowest_j = float(available_j.max()) * _ROUNDING
    _check_numbers("parts['energy'].highest_j", energy.highest_j, (), lowest=lowest_j)
    after_j = energy.charge_after_j(charge_j, spent_j=np.zeros(each), sunlit_s=np.zeros(each), duration_s=_TRIED_S)
    after_j = _check_numbers("parts['energy'].charge_after_j()", after_j, each)
    if any(hasattr(energy, method) for method in _SUPPLY_METHODS):
        what = "parts['energy'] must be a Supply, since it has a part of one"
        require(what, energy, methods=_SUPPLY_METHODS, values=_SUPPLY_VALUES)
        supply = as_supply(energy)
        _check_each("parts['energy'].standing_w", supply.standing_w, trial, lowest=0.0)
        _try_supply(supply, charge_j, after_j)


def _try_supply(supply: Supply, charge_j: FloatArray, after_j: FloatArray) -> None:
    """Check a supply's balance of the round that ended with the charge `after_j`; all (S,)."""
    each, nothing = charge_j.shape, np.zeros(charge_j.shape)
    stored_j = np.minimum(supply.stored_j(charge_j), np.finfo(float).max)  # may be infinite
    _check_numbers("parts['energy'].stored_j()", stored_j, each, lowest=0.0)
    balance = supply.balance(charge_j, spent_j=nothing, sunlit_s=nothing, duration_s=_TRIED_S)
    for name, value in balance._asdict().items():
        lowest = -np.inf if name == "charge_j" else 0.0
        _check_numbers(f"parts['energy'].balance().{name}", value, each, lowest=lowest)
    if not np.allclose(balance.charge_j, after_j):
        raise ValueError(
            f"parts['energy'].balance().charge_j must be what charge_after_j() gives, {after_j}, got {balance.charge_j}"
        )


def try_computer(trial: Trial) -> None:
    """Check the numbers of the on-board computers."""
    for name in COMPUTER_VALUES:
        value = getattr(trial.equipment.computer, name)
        _check_each(f"parts['computer'].{name}", value, trial, lowest=np.finfo(float).tiny)


def try_fleet(trial: Trial) -> None:
    """Check one draw of the values in which satellites differ."""
    fleet = trial.ingredients.fleet
    for name, value in trial.drawn.items():
        values = _check_numbers(f"parts['fleet'].draw()[{name!r}]", value, (trial.scene.num_satellites,))
        highest = _check_numbers(f"parts['fleet'].highest[{name!r}]", fleet.highest.get(name), ())
        if (values * _ROUNDING > highest).any():
            raise ValueError(f"parts['fleet'].highest[{name!r}] must be at least {values.max():g}, got {highest:g}")
    for try_one in (try_links, try_energy, try_computer):
        try_one(trial)


def try_data(trial: Trial) -> None:
    """Check one draw of the data."""
    data, satellites = trial.data, trial.scene.num_satellites
    if not isinstance(data, FederatedData):
        raise TypeError(f"parts['data'] must give FederatedData, got {type(data).__name__}")
    if data.train.num_satellites != satellites:
        raise ValueError(
            f"parts['data'] must hold samples of {counted(satellites, 'satellite')}, got {data.train.num_satellites}"
        )


def try_model(trial: Trial) -> None:
    """Try a model on all samples, or on those of the first satellite where each has a task; see `check_model`."""
    train, mask = trial.data.train, None
    images, targets = train.images, train.targets
    if train.output_mask is not None:
        first = slice(*train.offsets[:2])
        images, targets, mask = images[first], targets[first], train.output_mask[0]
    model = trial.ingredients.model()
    with blaming_part("model"):
        check_model(model, images, targets, mask)


def try_protocol(trial: Trial) -> None:
    """Check the contacts that a protocol finds at the scene's start."""
    pairs = trial.snapshot.distance_m.shape
    with blaming_part("protocol"):
        contacts = trial.ingredients.protocol.contacts(trial.snapshot, 1.0)
    for name in ("sender", "carry_s"):
        value = getattr(contacts, name, None)
        numbers = _check_numbers(f"parts['protocol'].contacts().{name}", value, pairs, lowest=0.0)
        if name == "sender" and (numbers >= pairs[0]).any():
            raise ValueError(f"parts['protocol'].contacts().sender must be < {pairs[0]}, got {numbers.max():g}")


def try_faults(trial: Trial) -> None:
    """Check the outages of an episode of a minute, and the faults of a round."""
    faults, rng = trial.ingredients.faults, np.random.default_rng(0)
    assert faults is not None
    satellites, gateways = trial.scene.num_satellites, trial.scene.num_gateways
    with blaming_part("faults"):
        for name, number in (("satellite_outages", satellites), ("gateway_outages", gateways)):
            outages = getattr(faults, name)(number, _TRIED_S, rng)
            if not isinstance(outages, Outages):
                raise TypeError(f"{name}() must give Outages, got {type(outages).__name__}")
            _check_numbers(f"{name}().works(0)", outages.works(0.0), (number,))
        breaks_s = faults.breaks_s(satellites, gateways, rng)
        finite_s = np.minimum(breaks_s, np.finfo(float).max)  # may be infinite
        _check_numbers("breaks_s()", finite_s, (satellites, gateways), lowest=0.0)
        probability = faults.upset_probability(np.full(satellites, _TRIED_S))
        probability = _check_numbers("upset_probability()", probability, (satellites,), lowest=0.0)
        if (probability > 1).any():
            raise ValueError(f"upset_probability() must be at most 1, got {probability.max():g}")


def try_combine(trial: Trial) -> None:
    """Combine a single update and several as a round does."""
    with blaming_part("combine"):
        for count in (3, 1):
            one_group = np.zeros(count, dtype=np.int64)
            combine_updates(torch.eye(count, 4), np.full(count, 1 / count), one_group, trial.ingredients.combine)


def try_compression(trial: Trial) -> None:
    """Send and fetch some vectors, and count their bits."""
    compression, generator = trial.ingredients.compression, torch.Generator().manual_seed(0)
    vectors = torch.eye(*_TRIED_SHAPE) + 1.0
    with blaming_part("compression"):
        for name in ("upload_share", "download_share"):
            share = getattr(compression, name)(_TRIED_SHAPE[1])
            _check_numbers(f"{name}()", share, (), lowest=np.finfo(float).tiny)
        for arriving in (*compression.send(vectors, vectors, generator), compression.fetch(vectors, generator)):
            _check_numbers("what arrives", arriving, _TRIED_SHAPE)


def try_local(trial: Trial) -> None:
    """Begin an episode."""
    local = trial.ingredients.local
    with blaming_part("local"):
        _check_numbers("extra_vectors", local.extra_vectors, (), lowest=0.0)
        terms = local.episode(torch.ones(_TRIED_SHAPE))
        if not isinstance(terms, LocalTerms):
            raise TypeError(f"episode() must give LocalTerms, got {type(terms).__name__}")


def try_server(trial: Trial) -> None:
    """Move some models."""
    server, models = trial.ingredients.server, torch.ones(_TRIED_SHAPE)
    assert server is not None
    with blaming_part("server"):
        first = models.new_tensor(server.first_moments)[:, None, None].repeat(1, *_TRIED_SHAPE)
        moved, moments = server_step(server, models, models.clone(), first)
        _check_numbers("step()[0]", moved, _TRIED_SHAPE)
        _check_numbers("step()[1]", moments, tuple(first.shape))


@contextmanager
def blaming_part(name: str) -> Iterator[None]:
    """Put the part's name before the messages of errors."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"parts[{name!r}]: {error}") from error


def require(what: str, thing: Any, *, methods: tuple[str, ...], values: tuple[str, ...]) -> None:
    """Raise `TypeError` unless a thing has these methods and values; the message begins with `what` it must be."""
    for method in methods:
        if not callable(getattr(thing, method, None)):
            raise TypeError(f"{what}; {type(thing).__name__} lacks the method {method}()")
    for value in values:
        if not hasattr(thing, value):
            raise TypeError(f"{what}; {type(thing).__name__} lacks {value}")


def _check_each(name: str, value: Any, trial: Trial, *, lowest: float) -> None:
    """Check what is one number for all satellites, or one for each."""
    _check_numbers(name, value, () if np.ndim(value) == 0 else (trial.scene.num_satellites,), lowest=lowest)


def _check_numbers(name: str, value: Any, shape: tuple[int, ...], *, lowest: float = -np.inf) -> FloatArray:
    """The numbers, if they have this shape, are finite and not below the lowest."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numbers of shape {shape}, got {value!r}") from error
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all() or (array < lowest).any():
        limit = "finite" if lowest == -np.inf else f"finite and at least {lowest:g}"
        raise ValueError(f"{name} must be {limit}, got {array[~(np.isfinite(array) & (array >= lowest))].flat[0]}")
    return array
