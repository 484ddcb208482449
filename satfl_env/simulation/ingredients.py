"""What a simulation is made of. Scenarios fill these in; everything that depends on the seed is a factory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LocalData, SemanticModel, TrainingSettings
from satfl_env.orbits import Scene
from satfl_env.simulation.state import FloatArray, IntArray


class Links(Protocol):
    """Rates between satellites and gateways."""

    @property
    def transmit_power_w(self) -> float:
        """Transmit power of a satellite."""

    def solo_rate_bps(self, distance_m: FloatArray) -> FloatArray:
        """Rate of each pair alone on a gateway's whole band, (S, G)."""

    def associated_rate_bps(
        self,
        position_m: FloatArray,
        gateway_position_m: FloatArray,
        distance_m: FloatArray,
        association: IntArray,
    ) -> FloatArray:
        """Rate of each satellite to its gateway under an association (S,), shared band and interference included."""


@dataclass(frozen=True)
class OnboardComputer:
    """The on-board computer of every satellite: highest frequency (Hz), cycles a sample, switched capacitance."""

    cpu_max_hz: float
    cycles_per_sample: float
    kappa: float


@dataclass(frozen=True)
class EnergyDraws:
    """Energy for training is drawn anew every round from N(mean_j, std_j), cut at 0."""

    mean_j: float
    std_j: float


@dataclass(frozen=True)
class Battery:
    """A battery (J) that carries over; `reserve_j` is never spent on training, `harvest_w` fills it."""

    capacity_j: float
    initial_j: float
    reserve_j: float
    harvest_w: float


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


@dataclass(frozen=True)
class RoundSettings:
    """How rounds go: episode length, cloud merges, and how long a round lasts.

    Attributes:
        episode: Rounds in an episode.
        cloud_every: The cloud merges after every so many rounds.
        minimum_s: Shortest duration of a round.
        cadence_s: Fixed duration of a round; None ends it when the last participant is back.
    """

    episode: int
    cloud_every: int
    minimum_s: float
    cadence_s: float | None


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
        data: Makes the data of an episode.
        model: Makes one freshly initialised model.
        test_snr_db: Channel SNR of the test.
        training: Local training.
        engine: How satellites train; "none" leaves all models as they are.
        shared: Which parameters are federated.
        first_decoders: Whether decoders that stay on board start from draws of their own or from a common one.
        max_epochs: Most local epochs in a round.
        rounds: How rounds go.
    """

    scene: Callable[[np.random.Generator], Scene]
    links: Links
    model_bits: float | None
    upload_snr_db: float | None
    computer: OnboardComputer
    energy: EnergyDraws | Battery
    data: Callable[[np.random.Generator], FederatedData]
    model: Callable[[torch.Generator], SemanticModel]
    test_snr_db: float
    training: TrainingSettings
    engine: Literal["stacked", "loop", "none"]
    shared: Literal["encoder", "all"]
    first_decoders: Literal["own", "common"]
    max_epochs: int
    rounds: RoundSettings
