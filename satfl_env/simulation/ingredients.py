"""What a simulation is made of: given by a scenario, except for the parts that a user replaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from satfl_env.federated import (
    Combine,
    Compression,
    FedAvg,
    Hardware,
    LocalTrainer,
    ServerOptimiser,
    Shared,
    TrainableModel,
)
from satfl_env.links import Links
from satfl_env.onboard import Computer, Energy
from satfl_env.orbits import ForecastSettings, Scene
from satfl_env.simulation.access import Access
from satfl_env.simulation.faults import FaultModel
from satfl_env.simulation.federated_data import FederatedData
from satfl_env.simulation.fleet import Equipment, Fleet
from satfl_env.simulation.learner import FirstDecoders, Learner, Tested
from satfl_env.simulation.local_terms import LocalRule
from satfl_env.simulation.protocols import RoundProtocol
from satfl_env.simulation.rounds import RoundSettings
from satfl_env.simulation.structures import Structures
from satfl_env.simulation.upload_positions import UploadPositions

ScenePart = Callable[[np.random.Generator], Scene]


class DataPart(Protocol):
    """Makes the data of an episode, which may depend on its satellites.

    A part may have any of the attributes of `DataFacts`, which must then hold for every seed.
    """

    def __call__(self, scene: Scene, rng: np.random.Generator, /) -> FederatedData:
        """The data of the satellites of a scene; all draws come from `rng`."""
        ...


class DataFacts(NamedTuple):
    """What can be known of the data before an episode.

    Attributes:
        image_shape: Shape of an image: channels, height and width, or that of other features.
        num_outputs: Outputs of a decoder for all classes, or for those of the largest task.
        max_samples: Most training samples that a satellite can hold.
    """

    image_shape: tuple[int, ...]
    num_outputs: int
    max_samples: int


def data_facts(data: DataPart, scene: ScenePart) -> DataFacts:
    """The facts that a data part states as attributes; those that it does not state are taken from one draw.

    The bound of the samples is then the sum over all satellites, which holds for a split without overlap.
    """
    stated = {name: getattr(data, name, None) for name in DataFacts._fields}
    known = {name: value for name, value in stated.items() if value is not None}
    if len(known) == len(stated):
        return DataFacts(**known)
    drawn = data(scene(np.random.default_rng(0)), np.random.default_rng(0))
    mask = drawn.train.output_mask
    in_draw = DataFacts(
        image_shape=tuple(drawn.test_images.shape[1:]),
        # A class may be too rare for the draw to have a sample of it.
        num_outputs=drawn.label_pmf.shape[1] if mask is None else mask.shape[1],
        max_samples=int(drawn.train.samples.sum()),
    )
    return in_draw._replace(**known)


@dataclass(frozen=True)
class Ingredients:
    """Everything a `Simulation` needs. What depends on the seed is a factory.

    Attributes:
        scene: Makes the satellites and gateways of an episode.
        links: Rates between them.
        access: Which satellites gateways serve, and how these share the band.
        model_bits: Size of a model on the link before it is compressed; None means 32 bits per shared parameter.
        upload_positions: Where satellites are while they return a model.
        upload_snr_db: SNR at which updates arrive, in dB; None means without noise.
        computer: The on-board computers.
        energy: Energy for training.
        fleet: In what the satellites' links, energy and computers differ.
        data: Makes the data of an episode, which may depend on what the satellites see.
        model: Makes a model.
        test_snr_db: Channel SNR of the test.
        learner: What trains, moves and tests the models.
        trainer: Makes the local trainer of a model.
        shared: Which parameters are federated.
        first_decoders: Whether decoders that stay on board start from draws of their own or from a common one.
        tested: Which models a round is judged by: those that satellites hold after it, or those right after
            training, before they are aggregated and handed out.
        combine: How the updates of a group are combined.
        server: How gateways move their models along what updates combine to; None means by one step of length 1.
        compression: How models and updates get smaller on the link.
        local: What satellites minimise in training beside their loss.
        max_epochs: Most local epochs in a round.
        protocol: Who trains when, from which model, and when updates count.
        rounds: How rounds go.
        forecast: How much of what is to come is known, and how far ahead.
        device: Where models are tested: `cpu`, `cuda` or `cuda:<index>`.
        faults: What may fail; None means that nothing does.
        structures: Which part of the model each satellite trains; None means all of it.
    """

    scene: ScenePart
    links: Links
    access: Access
    model_bits: float | None
    upload_positions: UploadPositions
    upload_snr_db: float | None
    computer: Computer
    energy: Energy
    fleet: Fleet
    data: DataPart
    model: Callable[[], TrainableModel]
    test_snr_db: float
    learner: Callable[[Ingredients], Learner]
    trainer: Callable[[TrainableModel], LocalTrainer]
    shared: Shared
    first_decoders: FirstDecoders
    tested: Tested
    combine: Combine
    server: ServerOptimiser | None
    compression: Compression
    local: LocalRule
    max_epochs: int
    protocol: RoundProtocol
    rounds: RoundSettings
    forecast: ForecastSettings
    device: str = Hardware.device
    faults: FaultModel | None = None
    structures: Structures | None = None

    @property
    def equipment(self) -> Equipment:
        """What all satellites are equipped with, apart from the values in which they differ."""
        return Equipment(self.links, self.energy, self.computer)

    @property
    def server_optimiser(self) -> ServerOptimiser | None:
        """The server's optimiser.

        Where satellites fetch compressed models, gateways move their own ones: updates do not carry what is lost on the
        way down.
        """
        return FedAvg() if self.server is None and self.compression.download is not None else self.server


def most_samples(ingredients: Ingredients, scene: Scene) -> int:
    """Most training samples that a satellite of a scene can hold, whatever the seed; see `data_facts`."""
    return int(data_facts(ingredients.data, lambda rng: scene).max_samples)
