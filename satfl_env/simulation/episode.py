"""What stays as it is throughout an episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from satfl_env.onboard import COMPUTER_VALUES, Supply, as_supply
from satfl_env.orbits import Forecast, Scene
from satfl_env.semantics import semantic_similarity
from satfl_env.simulation.faults import NoFaults, episode_faults
from satfl_env.simulation.federated_data import FederatedData
from satfl_env.simulation.fleet import Equipment
from satfl_env.simulation.ingredients import Ingredients
from satfl_env.simulation.state import BoolArray, FloatArray, Once
from satfl_env.simulation.streams import numpy_generator
from satfl_env.simulation.transfer_bits import TransferBits, whole_bits


@dataclass(frozen=True, eq=False)
class Episode:
    """What stays as it is throughout an episode.

    Attributes:
        ingredients: What it is made of.
        seed: Its seed.
        scene: The satellites and gateways.
        data: What satellites train on, and are tested on.
        equipment: What satellites are equipped with, each with its own values.
        faults: What fails.
        bits: Size of a model on the link.
        forecast: What is to come of the scene.
        similarity: Gives the similarity of the satellites' label distributions, (S, S).
    """

    ingredients: Ingredients
    seed: int
    scene: Scene
    data: FederatedData
    equipment: Equipment
    faults: NoFaults
    bits: TransferBits
    forecast: Forecast
    similarity: Once

    @cached_property
    def supply(self) -> Supply:
        """The satellites' energy supply."""
        return as_supply(self.equipment.energy)

    @cached_property
    def constants(self) -> Mapping[str, Any]:
        """The parts of the state that stay as they are, read-only."""
        num_satellites = self.scene.num_satellites
        computers = {
            name: np.array(np.broadcast_to(getattr(self.equipment.computer, name), num_satellites), dtype=np.float64)
            for name in COMPUTER_VALUES
        }
        counted_w = self.equipment.links.transmit_power_w if self.supply.counts_transmission else 0.0
        over_half_w = counted_w * self.bits.upload / self.bits.mean
        constants: dict[str, Any] = {
            "transmit_power_w": np.full(num_satellites, over_half_w, dtype=np.float64),
            "samples": self.data.train.samples,
            "max_epochs": np.full(num_satellites, self.ingredients.max_epochs, dtype=np.int64),
            **computers,
        }
        for array in constants.values():
            array.setflags(write=False)
        return constants

    def decayed(self, time_s: float) -> BoolArray:
        """Satellites that have come down by a time, (S,)."""
        return self._decay_s <= time_s

    def is_over(self, rounds_played: int, time_s: float) -> bool:
        """Whether it ends after so many rounds, at that time."""
        return rounds_played >= self.ingredients.rounds.episode or bool(self.decayed(time_s).any())

    @cached_property
    def _decay_s(self) -> FloatArray:
        # Only the scenes of orbits know of decays.
        return np.broadcast_to(getattr(self.scene, "decay_s", np.inf), self.scene.num_satellites)


def start_episode(ingredients: Ingredients, seed: int, num_shared: int) -> Episode:
    """An episode that its seed determines.

    Args:
        ingredients: What it is made of.
        seed: Its seed.
        num_shared: Number of parameters that go over the links.

    Raises:
        ValueError: If satellites are to fetch the models of more clusters than there are satellites.
    """
    scene = ingredients.scene(numpy_generator(seed, "orbits"))
    if ingredients.rounds.broadcast > scene.num_satellites:
        raise ValueError(
            f"rounds.broadcast must be at most the number of satellites, {scene.num_satellites}, got "
            f"{ingredients.rounds.broadcast}"
        )
    data = ingredients.data(scene, numpy_generator(seed, "split"))
    fleet = ingredients.fleet.draw(scene.num_satellites, numpy_generator(seed, "fleet"))
    span_s = ingredients.rounds.longest_s(scene.horizon_s)
    return Episode(
        ingredients=ingredients,
        seed=seed,
        scene=scene,
        data=data,
        equipment=ingredients.equipment.having(fleet),
        faults=episode_faults(ingredients.faults, seed, scene.num_satellites, scene.num_gateways, span_s=span_s),
        bits=_bits(ingredients, num_shared),
        forecast=Forecast(scene, ingredients.forecast),
        similarity=Once(partial(semantic_similarity, data.label_pmf)),
    )


def _bits(ingredients: Ingredients, num_shared: int) -> TransferBits:
    model_bits = ingredients.model_bits or 32.0 * num_shared
    compression, extra = ingredients.compression, ingredients.local.extra_vectors
    broadcast = ingredients.rounds.broadcast
    return TransferBits(
        download=whole_bits(model_bits * (broadcast * compression.download_share(num_shared) + extra)),
        upload=whole_bits(model_bits * (compression.upload_share(num_shared) + extra)),
    )
