"""The configuration of a scenario: every field, its unit, its default and what is allowed.

Unknown keys and impossible values are rejected. Sections mirror the rooms of the package; nothing here computes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Decibel = Annotated[float, Field(ge=-200, le=200)]
Count = Annotated[int, Field(ge=1)]
Point = tuple[Finite, Finite]


class Section(BaseModel):
    """A frozen part of a scenario; keys that it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Circle(Section):
    """Satellites that share one circle of the planar scene."""

    radius_m: Positive
    satellites: Count


class PlanarConstellation(Section):
    """Satellites on circles over the coverage discs of gateways (SemSpaceFL, section V-A)."""

    kind: Literal["planar"] = "planar"
    circles: Annotated[tuple[Circle, ...], Field(min_length=1)]
    centre_m: Point
    gateways_m: Annotated[tuple[Point, ...], Field(min_length=1)]
    coverage_radius_m: Positive
    altitude_m: Positive = 500e3
    speed_mps: Positive = 7600.0

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return sum(circle.satellites for circle in self.circles)

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateways_m)


class Uploads(Section):
    """What a model is on its link: `model_bits: null` means 32 bits a shared parameter.

    `upload_snr_db` adds white noise to the uploaded updates, at this SNR of each update's own power; null adds none.
    """

    model_bits: Positive | None = None
    upload_snr_db: Decibel | None = None


class IdealLinks(Uploads):
    """Links of one fixed rate without interference (task clustering, section II)."""

    kind: Literal["ideal"] = "ideal"
    rate_bps: Positive = 1e9
    transmit_power_w: NonNegative = 0.0


class RadioLinks(Uploads):
    """The radio link of SemSpaceFL, eq. 8-17."""

    kind: Literal["radio"] = "radio"
    carrier_hz: Positive = 10e9
    bandwidth_hz: Positive = 1e9
    satellite_budget_hz: Positive = 1e9
    satellite_gain_dbi: Finite = 25.0
    gateway_gain_dbi: Finite = 45.0
    extra_loss_db: NonNegative = 1.5
    transmit_power_w: Positive = 10.0
    noise_figure_db: NonNegative = 2.0
    noise_temperature_k: Positive = 290.0
    array_shape: tuple[Count, Count] = (16, 16)


class EnergyDraws(Section):
    """Each satellite's energy for training is drawn anew every round, N(mean_j, std_j) cut at 0."""

    kind: Literal["draws"] = "draws"
    mean_j: Positive = 100.0
    std_j: NonNegative = 10.0


class Battery(Section):
    """A battery that carries over: spent by training and transmission, filled by a constant harvest."""

    kind: Literal["battery"] = "battery"
    capacity_j: Positive
    initial_j: NonNegative
    reserve_j: NonNegative = 0.0
    harvest_w: NonNegative = 0.0

    @model_validator(mode="after")
    def _inside_capacity(self) -> Battery:
        for name in ("initial_j", "reserve_j"):
            if getattr(self, name) > self.capacity_j:
                raise ValueError(f"{name} must be at most capacity_j = {self.capacity_j}, got {getattr(self, name)}")
        return self


class Onboard(Section):
    """The on-board computer and its energy (SemSpaceFL, eq. 5-6)."""

    cpu_max_hz: Positive = 1e9
    cycles_per_sample: Positive = 1e8
    kappa: Positive = 5e-27
    energy: Annotated[EnergyDraws | Battery, Field(discriminator="kind")] = EnergyDraws()


class TaskConfig(Section):
    """A classification task: which classes it tells apart (all others are "other") and how often they occur."""

    name: Annotated[str, Field(min_length=1)]
    classes: Annotated[tuple[int, ...], Field(min_length=1)]
    positive_share: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _distinct_classes(self) -> TaskConfig:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must be distinct, got {list(self.classes)}")
        return self


class TaskPartition(Section):
    """Every satellite serves one task (in turn) with its own draw of samples, of a size drawn from a range."""

    kind: Literal["tasks"] = "tasks"
    tasks: Annotated[tuple[TaskConfig, ...], Field(min_length=1)]
    samples: tuple[Count, Count]

    @model_validator(mode="after")
    def _consistent(self) -> TaskPartition:
        low, high = self.samples
        if low > high:
            raise ValueError(f"samples must be [lowest, highest] with lowest <= highest, got [{low}, {high}]")
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError(f"task names must be distinct, got {names}")
        return self


class EqualPartition(Section):
    """A random disjoint split into equal shares of `total_samples` images (`null`: all of them)."""

    kind: Literal["equal"] = "equal"
    total_samples: Count | None = None


class DirichletPartition(Section):
    """A disjoint split, class by class, with shares drawn from Dirichlet(alpha)."""

    kind: Literal["dirichlet"] = "dirichlet"
    alpha: Positive
    min_samples: Count = 1
    total_samples: Count | None = None


class CountsPartition(Section):
    """A random disjoint split into given sample counts, one a satellite."""

    kind: Literal["counts"] = "counts"
    counts: Annotated[tuple[Count, ...], Field(min_length=1)]


Partition = TaskPartition | EqualPartition | DirichletPartition | CountsPartition


class Data(Section):
    """Where images come from and how they are split; `data_dir: null` means the SATFL_DATA environment variable."""

    source: str
    data_dir: str | None = None
    image_size: Count | None = None
    partition: Annotated[Partition, Field(discriminator="kind")]
    test_samples: Count | None = None


class Channel(Section):
    """The semantic channel between encoder and decoder; `snr_db` may be a range, drawn anew for each sample."""

    kind: Literal["awgn", "rayleigh", "rician"] = "awgn"
    snr_db: Finite | tuple[Finite, Finite] = 0.0
    rician_k: NonNegative = 3.0
    test_snr_db: Finite = 0.0

    @model_validator(mode="after")
    def _ordered_range(self) -> Channel:
        if isinstance(self.snr_db, tuple) and self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db must be a number or [lowest, highest], got {list(self.snr_db)}")
        return self


class MLPLinkModel(Section):
    """Two-layer encoder and decoder of the task clustering paper."""

    kind: Literal["mlp-link"] = "mlp-link"
    hidden: Count = 32
    channel_uses: Count = 8
    decoder_hidden: Count = 16
    channel_draws: Count = 1
    channel: Channel = Channel()


class ConvJSCCModel(Section):
    """Small convolutional deep joint source-channel coding autoencoder."""

    kind: Literal["conv-jscc"] = "conv-jscc"
    widths: tuple[Count, Count, Count] = (16, 32, 8)
    channel: Channel = Channel(snr_db=(1.0, 11.0), test_snr_db=11.0)


class Training(Section):
    """Local training. `batches_per_epoch` says how many real minibatches stand for a simulated epoch (null: all).

    First encoders are the same everywhere. `first_decoders` says whether decoders that stay on board start alike, too.
    """

    engine: Literal["stacked", "loop", "none"] = "stacked"
    shared: Literal["encoder", "all"] = "encoder"
    first_decoders: Literal["own", "common"] = "own"
    batch_size: Count = 16
    learning_rate: Positive = 2e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    max_epochs: Count = 100
    batches_per_epoch: Count | None = None


class Rounds(Section):
    """Communication rounds. `cadence_s: null` ends a round when the last participant is back."""

    episode: Count = 30
    cloud_every: Count = 1
    minimum_s: Positive = 60.0
    cadence_s: Positive | None = None


class Target(Section):
    """End the episode once the mean test metric reaches a value."""

    metric: str
    value: Finite


class Scenario(Section):
    """A whole scenario: who flies, what they carry, what they learn and how a round goes."""

    name: str
    description: str = ""
    constellation: PlanarConstellation
    links: Annotated[RadioLinks | IdealLinks, Field(discriminator="kind")] = RadioLinks()
    onboard: Onboard = Onboard()
    data: Data
    model: Annotated[MLPLinkModel | ConvJSCCModel, Field(discriminator="kind")]
    training: Training = Training()
    rounds: Rounds = Rounds()
    target: Target | None = None

    @property
    def satellite_tasks(self) -> tuple[str, ...]:
        """Name of the task each satellite serves, (S,): all in turn; empty where images are reconstructed."""
        partition = self.data.partition
        if not isinstance(partition, TaskPartition):
            return ()
        names = [task.name for task in partition.tasks]
        return tuple(names[satellite % len(names)] for satellite in range(self.constellation.num_satellites))

    @model_validator(mode="after")
    def _sections_fit(self) -> Scenario:
        partition = self.data.partition
        if self.model.kind == "mlp-link" and partition.kind != "tasks":
            raise ValueError(f"model.kind 'mlp-link' needs data.partition.kind 'tasks', got {partition.kind!r}")
        if self.model.kind == "conv-jscc" and partition.kind == "tasks":
            raise ValueError("model.kind 'conv-jscc' reconstructs images: data.partition.kind 'tasks' does not fit it")
        num_satellites = self.constellation.num_satellites
        if partition.kind == "counts" and len(partition.counts) != num_satellites:
            raise ValueError(
                f"data.partition.counts must have {num_satellites} entries (satellites), got {len(partition.counts)}"
            )
        return self
