"""What a simulation is made of. Scenarios fill these in; everything that depends on the seed is a factory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pydantic.dataclasses
from torch import Tensor

from satfl_env.federated import Hardware, LocalData, SemanticModel, TrainingSettings
from satfl_env.links import Links
from satfl_env.onboard import Computer, Energy
from satfl_env.orbits import Scene
from satfl_env.settings import STRICT, Count, NonNegative, Positive
from satfl_env.simulation.state import FloatArray


@dataclass(frozen=True, eq=False)
class FederatedData:
    """Training data on board and the common test images.

    Attributes:
        train: Local data of all satellites.
        label_pmf: Label distribution of each satellite over the common alphabet, (S, A).
        test_images: Test images, (N, C, H, W).
        test_targets: Test targets of each satellite, (S, N).
        test_weights: Weight of each test image in each satellite's test loss, (S, N); rows sum to 1.
    """

    train: LocalData
    label_pmf: FloatArray
    test_images: Tensor
    test_targets: Tensor
    test_weights: Tensor


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class LateUpdates:
    """Updates come a contact late: trained between two contacts, handed over at the second (FedSat, FedBuff).

    Attributes:
        buffer: Updates of a cluster that a gateway waits for before it changes a model.
        staleness_power: An update counts (1 + staleness)^-power, the staleness being how often models have changed
            since it was fetched.
        server_rate: How far a model moves along the mean of its updates.
    """

    buffer: Count = 1
    staleness_power: NonNegative = 0.5
    server_rate: Positive = 1.0


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class PlaneRelays:
    """Satellites reach gateways through those of their orbital plane; see `simulation.relay`.

    Attributes:
        num_planes: Orbital planes, all of one size.
        isl_rate_bps: Rate of every inter-satellite link.
    """

    num_planes: Count
    isl_rate_bps: Positive


@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)
class RoundSettings:
    """How rounds go: episode length, participants, cloud merges, and how long a round lasts.

    Attributes:
        episode: Rounds in an episode.
        cohort: Most satellites that take part in a round; None takes all. Of more that are associated with a gateway
            in sight, as many are drawn at random and the others sit out.
        cloud_every: The cloud merges the gateways' models at the end of every so many rounds.
        minimum_s: Shortest duration of a round that ends when the last participant is back; a cadence takes its place.
        cadence_s: Fixed duration of a round; None ends it when the last participant is back.
    """

    episode: Count = 30
    cohort: Count | None = None
    cloud_every: Count = 1
    minimum_s: Positive = 60.0
    cadence_s: Positive | None = None


@dataclass(frozen=True)
class Ingredients:
    """Everything a `Simulation` needs.

    Attributes:
        scene: Makes the satellites and gateways of an episode.
        links: Rates between them.
        model_bits: Size of a model on the link; None means 32 bits a shared parameter.
        upload_snr_db: SNR at which updates arrive, in dB; None means without noise.
        computer: The on-board computer.
        energy: Energy for training.
        data: Makes the data of an episode, which may depend on what the satellites see.
        model: Makes a model.
        test_snr_db: Channel SNR of the test.
        training: Local training.
        engine: How satellites train; "none" leaves all models as they are.
        hardware: Where they train.
        shared: Which parameters are federated.
        first_decoders: Whether decoders that stay on board start from draws of their own or from a common one.
        tested: Which models a round is judged by: those that satellites hold after it, or as they came out of training,
            before they are aggregated and handed out.
        max_epochs: Most local epochs in a round.
        rounds: How rounds go.
        late: If updates come a contact late, how they count; None: they come back in the round they are trained in.
        relay: If satellites relay for those of their plane, how.
    """

    scene: Callable[[np.random.Generator], Scene]
    links: Links
    model_bits: float | None
    upload_snr_db: float | None
    computer: Computer
    energy: Energy
    data: Callable[[Scene, np.random.Generator], FederatedData]
    model: Callable[[], SemanticModel]
    test_snr_db: float
    training: TrainingSettings
    engine: str
    hardware: Hardware
    shared: Literal["encoder", "all"]
    first_decoders: Literal["own", "common"]
    tested: Literal["held", "trained"]
    max_epochs: int
    rounds: RoundSettings
    late: LateUpdates | None
    relay: PlaneRelays | None
