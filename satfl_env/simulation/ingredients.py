"""What a simulation is made of. Scenarios fill these in; everything that depends on the seed is a factory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import Hardware, LocalData, SemanticModel, TrainingSettings
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
        gateway_frame: FloatArray | None = None,
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
    """A battery (J) that carries over, filled with `harvest_w` in sunlight; `standing_w` is drawn all the time.

    Training may use the part `depth_of_discharge` of the capacity.
    """

    capacity_j: float
    initial_j: float
    depth_of_discharge: float
    harvest_w: float
    standing_w: float


@dataclass(frozen=True, eq=False)
class FederatedData:
    """Training data on board and the common test images.

    Attributes:
        train: Local data of all satellites.
        label_pmf: Label distribution of each satellite over the common alphabet, (S, A).
        test_images: Test images, (N, C, H, W).
        test_targets: Test targets of each satellite, (S, N).
        test_weights: Weight of each test image in each satellite's test loss, (S, N); rows sum to 1.
        tasks: Name of the task each satellite serves, (S,); empty where all do the same.

    Raises:
        ValueError: If shapes do not fit together, or a satellite has no sample.
    """

    train: LocalData
    label_pmf: FloatArray
    test_images: Tensor
    test_targets: Tensor
    test_weights: Tensor
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        satellites, images = self.train.num_satellites, len(self.test_images)
        if not images:
            raise ValueError("test_images is empty; at least one is needed")
        if (self.train.samples < 1).any():
            raise ValueError(f"train has satellites without a sample: {np.flatnonzero(self.train.samples < 1)[:10]}")
        for name, shape, expected in (
            ("label_pmf", self.label_pmf.shape[:1], (satellites,)),
            ("test_targets", tuple(self.test_targets.shape), (satellites, images)),
            ("test_weights", tuple(self.test_weights.shape), (satellites, images)),
            ("tasks", (len(self.tasks) or satellites,), (satellites,)),
        ):
            if shape != expected:
                raise ValueError(f"{name} has shape {shape}; expected {expected}")


@dataclass(frozen=True)
class LateUpdates:
    """Updates are trained between two contacts and handed over at the second; see `simulation.late`.

    Attributes:
        buffer: Updates that a gateway waits for before it changes a model.
        staleness_power: An update counts (1 + staleness)^-power.
        server_rate: How far a model moves along the mean of its updates.
    """

    buffer: int
    staleness_power: float
    server_rate: float


@dataclass(frozen=True)
class PlaneRelays:
    """Satellites reach gateways through those of their orbital plane; see `simulation.relay`.

    Attributes:
        num_planes: Orbital planes, all of one size.
        isl_rate_bps: Rate of every inter-satellite link.
    """

    num_planes: int
    isl_rate_bps: float


@dataclass(frozen=True)
class RoundSettings:
    """How rounds go: episode length, cloud merges, and how long a round lasts.

    Attributes:
        episode: Rounds in an episode.
        cohort: Most satellites that take part in a round; None takes all.
        cloud_every: The cloud merges after every so many rounds.
        minimum_s: Shortest duration of a round.
        cadence_s: Fixed duration of a round; None ends it when the last participant is back.
        relay: If satellites relay for those of their plane, how.
        late: If updates come a contact late, how they count; None: they come back in the round they are trained in.
    """

    episode: int
    cohort: int | None
    cloud_every: int
    minimum_s: float
    cadence_s: float | None
    late: LateUpdates | None = None
    relay: PlaneRelays | None = None


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
        model: Makes one freshly initialised model.
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
    """

    scene: Callable[[np.random.Generator], Scene]
    links: Links
    model_bits: float | None
    upload_snr_db: float | None
    computer: OnboardComputer
    energy: EnergyDraws | Battery
    data: Callable[[Scene, np.random.Generator], FederatedData]
    model: Callable[[torch.Generator], SemanticModel]
    test_snr_db: float
    training: TrainingSettings
    engine: Literal["auto", "stacked", "loop", "processes", "ray", "none"]
    hardware: Hardware
    shared: Literal["encoder", "all"]
    first_decoders: Literal["own", "common"]
    tested: Literal["held", "trained"]
    max_epochs: int
    rounds: RoundSettings
