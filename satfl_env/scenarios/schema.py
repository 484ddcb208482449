"""The configuration of a scenario: every field, its unit, its default and what is allowed.

Unknown keys and impossible values are rejected. Sections mirror the rooms of the package; nothing here computes. A
field's unit ends its name: _m, _s, _hz, _bps, _w, _j, _k, _deg, _mps (m/s), _db, _dbi.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from satfl_env.data import check_source
from satfl_env.orbits import load_elements, make_epoch, samples, site

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Decibel = Annotated[float, Field(ge=-200, le=200)]
Count = Annotated[int, Field(ge=1)]
# Lower there is no orbit; kilometres given for metres lie far below.
Altitude = Annotated[float, Field(ge=100e3, allow_inf_nan=False)]
Point = tuple[Finite, Finite]


class Section(BaseModel):
    """A frozen part of a scenario; keys that it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Circle(Section):
    """Satellites that share one circle of the planar scene."""

    radius_m: Positive
    satellites: Count


class PlanarConstellation(Section):
    """Satellites on circles over the coverage discs of gateways (SemSpaceFL, section V-A).

    Points are [x, y] on the plane of the gateways. `speed_mps` is the satellites' speed along their circles in m/s.
    `altitude_m` is at least 100 km.
    """

    kind: Literal["planar"] = "planar"
    circles: Annotated[tuple[Circle, ...], Field(min_length=1)]
    centre_m: Point
    gateways_m: Annotated[tuple[Point, ...], Field(min_length=1)]
    coverage_radius_m: Positive
    altitude_m: Altitude = 500e3
    speed_mps: Positive = 7600.0

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return sum(circle.satellites for circle in self.circles)

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateways_m)


class Gateway(Section):
    """A shipped site, by its name alone, or a place of your own: with `latitude_deg` and `longitude_deg`."""

    name: Annotated[str, Field(min_length=1)]
    latitude_deg: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude_deg: Annotated[float, Field(ge=-180, le=360)] | None = None
    altitude_m: Annotated[float, Field(ge=-500, le=9000)] | None = None
    min_elevation_deg: Annotated[float, Field(ge=0, lt=90)] = 10.0

    @model_validator(mode="before")
    @classmethod
    def _plain_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _site_or_place(self) -> Gateway:
        if (self.latitude_deg is None) != (self.longitude_deg is None):
            raise ValueError(f"latitude_deg and longitude_deg of gateway {self.name!r} must both be given, or neither")
        if self.latitude_deg is None:
            site(self.name)
            if self.altitude_m is not None:
                raise ValueError(f"altitude_m of gateway {self.name!r} goes with latitude_deg and longitude_deg")
        return self


class Orbiting(Section):
    """What constellations on the globe have in common.

    `epoch` is an ISO 8601 date and time in UTC, with or without quotes, in the years 2000 to 2035. An episode starts at
    a random time within `start_within_s` after it, drawn from its seed; 0 starts all of them at the epoch.
    """

    gateways: tuple[Gateway, ...]
    start_within_s: NonNegative = 86_400.0

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateways)

    @field_validator("epoch", mode="before", check_fields=False)
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # YAML makes dates of what looks like one; those with an offset from UTC are moved there.
        if isinstance(value, datetime) and value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return value.isoformat() if isinstance(value, date) else value

    @field_validator("epoch", check_fields=False)
    @classmethod
    def _is_a_date(cls, value: str | None) -> str | None:
        if value is not None:
            make_epoch(value)
        return value

    @field_validator("gateways")
    @classmethod
    def _distinct_names(cls, value: tuple[Gateway, ...]) -> tuple[Gateway, ...]:
        names = [gateway.name for gateway in value]
        if not names:
            raise ValueError("there must be at least one gateway, got none")
        if len(set(names)) != len(names):
            raise ValueError(f"gateways must have distinct names, got {names}")
        return value


class WalkerConstellation(Orbiting):
    """A Walker constellation, delta (nodes over 360 degrees) or star (over 180), two-body with secular J2 if `j2`.

    `altitude_m` is at least 100 km, above the equatorial radius. `phasing` lies in 0..planes - 1, and `planes` divides
    `satellites`.
    """

    kind: Literal["walker"] = "walker"
    pattern: Literal["delta", "star"] = "delta"
    satellites: Count
    planes: Count
    phasing: Annotated[int, Field(ge=0)] = 0
    altitude_m: Altitude
    inclination_deg: Annotated[float, Field(ge=0, le=180)]
    epoch: str
    j2: bool = True

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return self.satellites

    @model_validator(mode="after")
    def _even_planes(self) -> WalkerConstellation:
        if self.satellites % self.planes:
            raise ValueError(f"planes must divide satellites = {self.satellites}, got {self.planes}")
        if self.phasing >= self.planes:
            raise ValueError(f"phasing must lie in 0..{self.planes - 1}, got {self.phasing}")
        return self


class ElementsConstellation(Orbiting):
    """Published orbital elements flown by SGP4; `epoch: null` means the newest of the elements' own.

    `elements` is a shipped sample's name (`sentinel-like`, `polar-like`) or a file: OMM if it ends in .csv, .json or
    .xml, TLE otherwise. Inside a scenario's file its path counts from the folder of that file.
    """

    kind: Literal["tle"] = "tle"
    elements: str
    epoch: str | None = None

    @property
    def path(self) -> Path:
        """The file of orbital elements."""
        return samples().get(self.elements, Path(self.elements))

    @cached_property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return load_elements(self.path, self.epoch).num_satellites

    @model_validator(mode="after")
    def _readable(self) -> ElementsConstellation:
        try:
            orbits = load_elements(self.path, self.epoch)
        except FileNotFoundError as error:
            raise ValueError(f"elements: {error}; shipped samples: {', '.join(samples())}") from error
        except (OSError, ValueError) as error:
            raise ValueError(f"elements: {error}") from error
        try:
            orbits.advanced(self.start_within_s)
        except ValueError as error:
            raise ValueError(f"start_within_s is too long, got {self.start_within_s:g}: {error}") from error
        return self


Constellation = PlanarConstellation | WalkerConstellation | ElementsConstellation


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
    """The radio link of SemSpaceFL, eq. 8-17.

    The satellites at a gateway share its `bandwidth_hz` equally, but none uses more than `satellite_budget_hz`.
    `array_shape` is the number of antenna elements of a gateway's array along its two sides.
    """

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


class Panels(Section):
    """Solar panels that face the Sun."""

    area_m2: Positive
    efficiency: Annotated[float, Field(gt=0, le=1)] = 0.3


class Battery(Section):
    """A battery that carries over: spent by training, transmission and `standing_w`, filled in sunlight.

    Training leaves (1 - `depth_of_discharge`) of the capacity alone. The power in sunlight is `harvest_w`, or that of
    `panels`. On the globe it stops in the Earth's shadow; the planar scene knows no night.
    """

    kind: Literal["battery"] = "battery"
    capacity_j: Positive
    initial_j: NonNegative
    depth_of_discharge: Annotated[float, Field(gt=0, le=1)] = 1.0
    harvest_w: NonNegative = 0.0
    panels: Panels | None = None
    standing_w: NonNegative = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Battery:
        if self.initial_j > self.capacity_j:
            raise ValueError(f"initial_j must be at most capacity_j = {self.capacity_j}, got {self.initial_j}")
        if self.panels is not None and self.harvest_w:
            raise ValueError(f"give harvest_w or panels, not both; got harvest_w {self.harvest_w}")
        return self


class Onboard(Section):
    """The on-board computer and its energy (SemSpaceFL, eq. 5-6).

    `cycles_per_sample` are the CPU cycles that training one sample once takes. `kappa` is the chip's switched
    capacitance in J s^2 / cycle^3: an epoch over D samples at f Hz costs kappa * cycles_per_sample * D * f^2 joules.
    """

    cpu_max_hz: Positive = 1e9
    cycles_per_sample: Positive = 1e8
    kappa: Positive = 5e-27
    energy: Annotated[EnergyDraws | Battery, Field(discriminator="kind")] = EnergyDraws()


class TaskConfig(Section):
    """A classification task: which classes it tells apart (all others are "other") and how often they occur."""

    name: Annotated[str, Field(min_length=1)]
    classes: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    positive_share: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _distinct_classes(self) -> TaskConfig:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must be distinct, got {list(self.classes)}")
        return self


class TaskPartition(Section):
    """Every satellite serves one task (in turn) with its own draw of samples, of a size drawn from a range.

    `outputs` of decoders are numbered task by task ("own") or by the common alphabet of all labels ("alphabet"), so
    that one output means the same label everywhere and a task masks what it does not tell apart.
    """

    kind: Literal["tasks"] = "tasks"
    tasks: Annotated[tuple[TaskConfig, ...], Field(min_length=1)]
    samples: tuple[Count, Count]
    outputs: Literal["own", "alphabet"] = "own"

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


class GroundTrackPartition(Section):
    """Each satellite holds the images under its own ground track: what it saw by day in the span before the episode.

    Satellites may hold the same images; of more than `max_samples` one keeps a random choice.
    """

    kind: Literal["ground-track"] = "ground-track"
    span_s: Positive = 86_400.0
    swath_m: Positive = 290e3
    min_sun_elevation_deg: Annotated[float, Field(ge=-18, lt=90)] = 10.0
    max_samples: Count = 200


Partition = TaskPartition | EqualPartition | DirichletPartition | CountsPartition | GroundTrackPartition


class Data(Section):
    """Where images come from and how they are split; `data_dir: null` means the SATFL_DATA environment variable.

    Inside a scenario's file, `data_dir` counts from the folder of that file.
    `source` is `digits`, `blue-marble`, `mnist`, `imagenette`, `eurosat` or `image-folder`. `image_size` is the side in
    pixels that images are scaled and cropped to: needed by the last three sources, not allowed with the others, whose
    size is fixed. `folder` is a folder inside the data folder, for `image-folder` alone; null takes the data folder.
    `test_samples` of the source's test images are drawn anew for each episode; null, or more than there are, means all.
    """

    source: str
    data_dir: str | None = None
    folder: str | None = None
    image_size: Count | None = None
    partition: Annotated[Partition, Field(discriminator="kind")]
    test_samples: Count | None = None

    @model_validator(mode="after")
    def _loadable(self) -> Data:
        check_source(self.source, self.image_size)
        if self.folder is not None and self.source != "image-folder":
            raise ValueError(f"folder goes with source 'image-folder' alone, got {self.folder!r} for {self.source!r}")
        if self.partition.kind == "ground-track" and self.source != "blue-marble":
            raise ValueError(
                f"source must be 'blue-marble' for partition.kind 'ground-track', got {self.source!r}: "
                "its images have no place on the Earth"
            )
        return self


class Channel(Section):
    """The semantic channel between encoder and decoder; `snr_db` may be a range, drawn anew for each sample.

    `snr_db` is that of training, `test_snr_db` the one of every test; all SNRs lie in -200..200 dB. `rician_k` is the
    power of the line of sight over the scattered power, linear and without a unit; `rician` alone reads it.
    `final_snrs_db` are SNRs at which the gateways' models are tested besides, after an episode's last round; it needs
    `training.shared: all` and an engine other than `none`.
    """

    kind: Literal["awgn", "rayleigh", "rician"] = "awgn"
    snr_db: Decibel | tuple[Decibel, Decibel] = 0.0
    rician_k: NonNegative = 3.0
    test_snr_db: Decibel = 0.0
    final_snrs_db: tuple[Decibel, ...] = ()

    @field_validator("snr_db", mode="wrap")
    @classmethod
    def _number_or_range(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        must = f"must be a number or [lowest, highest] within -200..200 dB, got {value!r}"
        try:
            snr_db = validate(value)
        except ValidationError:
            raise ValueError(must) from None
        if isinstance(snr_db, tuple) and snr_db[0] > snr_db[1]:
            raise ValueError(must)
        return snr_db


class MLPLinkModel(Section):
    """Two-layer encoder and decoder of the task clustering paper.

    `hidden` and `decoder_hidden` are the widths of their hidden layers, `channel_uses` the real channel symbols an
    image becomes, each sent over `channel_draws` draws of the channel.
    """

    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "balanced_accuracy")

    kind: Literal["mlp-link"] = "mlp-link"
    hidden: Count = 32
    channel_uses: Count = 8
    decoder_hidden: Count = 16
    channel_draws: Count = 1
    channel: Channel = Channel()


class ConvJSCCModel(Section):
    """Small convolutional deep joint source-channel coding autoencoder.

    `widths` are the feature maps after each of the encoder's three convolutions; the decoder mirrors them. An image of
    H x W pixels, multiples of 4, becomes widths[2] * H/4 * W/4 real channel symbols.
    """

    metrics: ClassVar[tuple[str, ...]] = ("psnr_db", "ms_ssim")
    pixel_multiple: ClassVar[int] = 4

    kind: Literal["conv-jscc"] = "conv-jscc"
    widths: tuple[Count, Count, Count] = (16, 32, 8)
    channel: Channel = Channel(snr_db=(1.0, 11.0), test_snr_db=11.0)


class SwinJSCCModel(Section):
    """Deep joint source-channel coding with Swin transformers, told the SNR (WITT); `bandwidth_ratio` is k/n.

    Stage i of the encoder has `depths[i]` blocks on tokens of `patch` * 2^i pixels a side with `width` * 2^i features;
    images have sides that are multiples of the last stage's tokens. An attention head has `head_width` features, a
    divisor of `width`, and sees a `window` of that many tokens a side. k/n are complex channel symbols a pixel value.
    """

    metrics: ClassVar[tuple[str, ...]] = ("psnr_db", "ms_ssim")

    kind: Literal["swin-jscc"] = "swin-jscc"
    patch: Count = 4
    width: Count = 32
    depths: Annotated[tuple[Count, ...], Field(min_length=1)] = (2, 2)
    head_width: Count = 16
    window: Count = 4
    bandwidth_ratio: Positive = 1 / 6
    channel: Channel = Channel(snr_db=(1.0, 11.0), test_snr_db=11.0)

    @property
    def pixel_multiple(self) -> int:
        """Side of a token of the last stage in pixels, which images are cut into."""
        return int(self.patch * 2 ** (len(self.depths) - 1))

    @model_validator(mode="after")
    def _whole_heads(self) -> SwinJSCCModel:
        if self.width % self.head_width:
            raise ValueError(f"head_width must divide width = {self.width}, got {self.head_width}")
        return self


class Training(Section):
    """Local training. `batches_per_epoch` says how many real minibatches stand for a simulated epoch (null: all).

    A satellite trains as many epochs in a round as its contact and its energy allow, `max_epochs` at most.
    Of the minibatches of all of a round's epochs the first `round_share` are really trained.

    `shared` is what goes over the links and is aggregated: the `encoder`, while decoders stay on board, or `all`.
    First encoders are the same everywhere. `first_decoders` says whether decoders that stay on board start alike, too.
    `tested` says whether a round is judged by the models that satellites hold after it, or by those that came out of
    their training, before aggregation.

    The engine and its hardware change how long a round takes, and its results by rounding alone; all but `bfloat16`,
    which rounds the matrix products of stacked training to three digits and is for `auto` and `stacked`. `device` is
    `cpu`, `cuda` or `cuda:<index>`; `processes` and `ray` run on `cpu`. `workers` is the number of processes or Ray
    tasks: null means every core for `processes` and `ray`, and for `auto` as many as the threads PyTorch may use.
    The engine `none` trains nothing: all models stay as they are at first, and only the physics is played.
    """

    engine: Literal["auto", "stacked", "loop", "processes", "ray", "none"] = "auto"
    device: str = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    workers: Count | None = None
    shared: Literal["encoder", "all"] = "encoder"
    first_decoders: Literal["own", "common"] = "own"
    tested: Literal["held", "trained"] = "held"
    batch_size: Count = 16
    learning_rate: Positive = 2e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    max_epochs: Count = 100
    batches_per_epoch: Count | None = None
    round_share: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _engine_can(self) -> Training:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise ValueError(f"device must be cpu, cuda or cuda:<index>, got {self.device!r}")
        if self.precision == "bfloat16" and self.engine in ("loop", "processes", "ray"):
            raise ValueError(f"precision must be 'float32' with engine {self.engine!r}, got 'bfloat16'")
        if self.device != "cpu" and self.engine in ("processes", "ray"):
            raise ValueError(f"device must be 'cpu' with engine {self.engine!r}, got {self.device!r}")
        return self


class LateUpdates(Section):
    """Updates come a contact late: trained between two contacts, handed over at the second (FedSat, FedBuff).

    A gateway waits for `buffer` updates of a cluster and moves its model along their mean, `server_rate` times; each
    counts (1 + staleness)^-`staleness_power`, the staleness being how often models have changed since it was fetched.
    """

    buffer: Count = 1
    staleness_power: NonNegative = 0.5
    server_rate: Positive = 1.0


class Relay(Section):
    """Satellites of a Walker plane relay models for one another, to the one in a gateway's sight longest (FedLEO)."""

    isl_rate_bps: Positive = 1e8


class Rounds(Section):
    """Communication rounds. `cadence_s: null` ends a round when the last participant is back.

    `minimum_s` is the shortest duration of such a round; a cadence takes its place. The cloud merges the gateways'
    models at the end of every `cloud_every`-th round of the `episode`.

    `cohort` is the most satellites that take part in a round; of more that are associated with a gateway in sight, as
    many are drawn at random and the others sit out. `null` takes all of them. `late: null` means that updates come back
    in the round in which they are trained.
    """

    episode: Count = 30
    cohort: Count | None = None
    cloud_every: Count = 1
    minimum_s: Positive = 60.0
    cadence_s: Positive | None = None
    late: LateUpdates | None = None
    relay: Relay | None = None


class Target(Section):
    """Ends the episode early, once the mean over satellites of a test metric is at least `value`.

    `metric` is `accuracy` or `balanced_accuracy` of an `mlp-link`, and `psnr_db` or `ms_ssim` of the other models.
    """

    metric: str
    value: Finite


class Scenario(Section):
    """A whole scenario: who flies, what they carry, what they learn and how a round goes."""

    name: str
    description: str = ""
    constellation: Annotated[Constellation, Field(discriminator="kind")]
    links: Annotated[RadioLinks | IdealLinks, Field(discriminator="kind")] = RadioLinks()
    onboard: Onboard = Onboard()
    data: Data
    model: Annotated[MLPLinkModel | ConvJSCCModel | SwinJSCCModel, Field(discriminator="kind")]
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
        if self.model.kind != "mlp-link" and partition.kind == "tasks":
            raise ValueError(
                f"model.kind {self.model.kind!r} reconstructs images: data.partition.kind 'tasks' does not fit it"
            )
        if partition.kind == "ground-track" and self.constellation.kind == "planar":
            raise ValueError("data.partition.kind 'ground-track' needs a constellation on the globe, got kind 'planar'")
        if self.rounds.relay is not None and self.constellation.kind != "walker":
            raise ValueError(f"rounds.relay needs constellation.kind 'walker', got {self.constellation.kind!r}")
        num_satellites = self.constellation.num_satellites
        if partition.kind == "counts" and len(partition.counts) != num_satellites:
            raise ValueError(
                f"data.partition.counts must have {num_satellites} entries (satellites), got {len(partition.counts)}"
            )
        return self

    @model_validator(mode="after")
    def _tests_are_possible(self) -> Scenario:
        if self.target is not None and self.target.metric not in self.model.metrics:
            raise ValueError(
                f"target.metric must be one of {', '.join(self.model.metrics)} with model.kind {self.model.kind!r}, "
                f"got {self.target.metric!r}"
            )
        training, final_snrs_db = self.training, self.model.channel.final_snrs_db
        if final_snrs_db and (training.shared != "all" or training.engine == "none"):
            raise ValueError(
                f"model.channel.final_snrs_db must be empty, got {list(final_snrs_db)}: gateways hold whole models to "
                f"test only where training.shared is 'all' (got {training.shared!r}) and training.engine not 'none' "
                f"(got {training.engine!r})"
            )
        return self
