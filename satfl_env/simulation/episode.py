"""What stays as it is throughout an episode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from satfl_env.federated import Compression, Layout, LinkCompressor
from satfl_env.onboard import COMPUTER_VALUES, Supply, as_supply
from satfl_env.orbits import Forecast, Scene
from satfl_env.semantics import semantic_similarity
from satfl_env.settings import Each
from satfl_env.simulation.faults import NoFaults, episode_faults
from satfl_env.simulation.federated_data import FederatedData
from satfl_env.simulation.fleet import Equipment
from satfl_env.simulation.ingredients import Ingredients
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray, Once
from satfl_env.simulation.streams import numpy_generator
from satfl_env.simulation.structures import OwnParts
from satfl_env.simulation.transfer_bits import LinkUploads, TransferBits, whole_bits


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
        parts: What each satellite trains of the model; None means all of it.
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
    parts: OwnParts | None
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
        over_half_w = counted_w * self.bits.upload / self.bits.mean_of_each
        constants: dict[str, Any] = {
            "transmit_power_w": np.full(num_satellites, over_half_w, dtype=np.float64),
            "samples": self.data.train.samples,
            "max_epochs": np.full(num_satellites, self.ingredients.max_epochs, dtype=np.int64),
            **computers,
        }
        for array in constants.values():
            array.setflags(write=False)
        return constants

    def compression(self, upload_bits: Each, sent: BoolArray) -> Compression:
        """The compression of the updates that satellites send, (S,), from their bits on the link."""
        compression, by_link = self.ingredients.compression, self.bits.by_link
        if by_link is None:
            return compression
        return compression.of_size(
            by_link.sizes(np.broadcast_to(upload_bits, sent.shape)[sent]), by_link.num_parameters
        )

    def decayed(self, time_s: float) -> BoolArray:
        """Satellites that have come down by a time, (S,)."""
        return self._decay_s <= time_s

    def is_over(self, rounds_played: int, time_s: float) -> bool:
        """Whether it ends after so many rounds, at that time."""
        return rounds_played >= self.ingredients.rounds.episode or time_s >= self._first_decay_s

    @cached_property
    def _decay_s(self) -> FloatArray:
        # Only the scenes of orbits know of decays.
        return np.broadcast_to(getattr(self.scene, "decay_s", np.inf), self.scene.num_satellites)

    @cached_property
    def _first_decay_s(self) -> float:
        return float(self._decay_s.min())


def start_episode(ingredients: Ingredients, seed: int, layout: Layout, num_shared: int) -> Episode:
    """An episode that its seed determines.

    Args:
        ingredients: What it is made of.
        seed: Its seed.
        layout: The layout of the models.
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
    equipment, structures = ingredients.equipment.having(fleet), ingredients.structures
    parts = None
    if structures is not None:
        parts = structures.parts(layout, num_shared, equipment.computer, scene.num_satellites)
        # A part of the model takes a part of the cycles.
        equipment = equipment.having({"cycles_per_sample": equipment.computer.cycles_per_sample * parts.cost})
    return Episode(
        ingredients=ingredients,
        seed=seed,
        scene=scene,
        data=data,
        equipment=equipment,
        faults=episode_faults(ingredients.faults, seed, scene.num_satellites, scene.num_gateways, span_s=span_s),
        bits=_bits(ingredients, num_shared, num_shared if parts is None else parts.sizes),
        parts=parts,
        forecast=Forecast(scene, ingredients.forecast),
        similarity=Once(partial(semantic_similarity, data.label_pmf)),
    )


def _bits(ingredients: Ingredients, num_shared: int, sizes: int | IntArray) -> TransferBits:
    """Bits of transfers of models of so many parameters, one number or (S,), of `num_shared` in all."""
    model_bits = ingredients.model_bits or 32.0 * num_shared
    compression, extra = ingredients.compression, ingredients.local.extra_vectors
    broadcast, upload = ingredients.rounds.broadcast, compression.upload

    def bits(share: Callable[[int], float], times: int) -> Each:
        """Bits of `times` vectors, with what goes along, of which `share` is what compression leaves."""
        each = [whole_bits(model_bits * (size / num_shared) * (times * share(size) + extra)) for size in sizes_of]
        return each[0] if np.ndim(sizes) == 0 else np.array(each)

    sizes_of = np.atleast_1d(sizes).tolist()
    by_link = None
    if isinstance(upload, LinkCompressor):
        by_link = LinkUploads(upload, model_bits, model_bits * extra, num_shared)
    return TransferBits(bits(compression.download_share, broadcast), bits(compression.upload_share, 1), by_link)
