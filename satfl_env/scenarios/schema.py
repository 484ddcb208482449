"""The configuration of a scenario: every field, its unit, its default and what is allowed.

Unknown keys and impossible values are rejected. Where a section has the settings of a runtime object, it is that
object's class. A field's name ends in its unit: _m, _s, _hz, _bps, _w, _j, _k, _deg, _mps (m/s), _db, _dbi.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from satfl_env import links
from satfl_env.data import check_source, dirichlet_split
from satfl_env.federated import ENGINES, Hardware, TrainingSettings, check_engine
from satfl_env.onboard import Battery, EnergyDraws, OnboardComputer
from satfl_env.orbits import Gateway, load_elements, make_epoch, samples, site, walker
from satfl_env.scenarios.models import Model
from satfl_env.settings import STRICT, Count, Decibel, Finite, NonNegative, Positive, default_of
from satfl_env.simulation import LateUpdates, RoundSettings

# There is no orbit below this; kilometres given for metres are far below it.
Altitude = Annotated[float, Field(ge=100e3, allow_inf_nan=False)]
Point = tuple[Finite, Finite]


class Section(BaseModel):
    """A frozen part of a scenario; unknown keys are errors."""

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


def _site_or_place(value: Any) -> Any:
    """The place of a shipped site that is given by name only; any other value unchanged."""
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or given.keys() & {"latitude_deg", "longitude_deg", "altitude_m"}:
        return given
    name = given.get("name")
    return {**asdict(site(name)), **given, "name": site(name).name} if isinstance(name, str) else given


class Orbiting(Section):
    """Base class of constellations on the globe.

    `epoch` is an ISO 8601 date and time in UTC, with or without quotes, in the years 2000 to 2035. An episode starts at
    a random time within `start_within_s` after it, drawn from its seed; 0 starts all of them at the epoch.
    """

    gateways: tuple[Annotated[Gateway, BeforeValidator(_site_or_place)], ...]
    start_within_s: NonNegative = 86_400.0

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return len(self.gateways)

    @field_validator("epoch", mode="before", check_fields=False)
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # YAML turns text that looks like a date into one; dates with an offset are converted to UTC.
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
    pattern: Literal["delta", "star"] = default_of(walker, "pattern")
    satellites: Count
    planes: Count
    phasing: Annotated[int, Field(ge=0)] = 0
    altitude_m: Altitude
    inclination_deg: Annotated[float, Field(ge=0, le=180)]
    epoch: str
    j2: bool = default_of(walker, "j2")

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
    """Published orbital elements, propagated by SGP4; `epoch: null` means the newest epoch of the elements.

    `elements` is a shipped sample's name (`sentinel-like`, `polar-like`) or a file: OMM if it ends in .csv, .json or
    .xml, TLE otherwise. In a scenario's file its path is relative to that file's folder.
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


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Uploads:
    """How a model is sent: `model_bits: null` means 32 bits per shared parameter.

    `upload_snr_db` adds white noise to the uploaded updates, at this SNR of each update's own power; null adds none.
    """

    model_bits: Positive | None = None
    upload_snr_db: Decibel | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IdealLinks(Uploads, links.IdealLinks):
    """`links.IdealLinks`, and how a model is sent over them."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RadioLinks(Uploads, links.RadioLinks):
    """`links.RadioLinks`, and how a model is sent over them."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Onboard(OnboardComputer):
    """The on-board computer and its energy."""

    energy: Annotated[EnergyDraws | Battery, Field(discriminator="kind")] = EnergyDraws()


class TaskConfig(Section):
    """A classification task: the classes it distinguishes (all others are "other") and how often they occur."""

    name: Annotated[str, Field(min_length=1)]
    classes: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    positive_share: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _distinct_classes(self) -> TaskConfig:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must be distinct, got {list(self.classes)}")
        return self


class TaskPartition(Section):
    """Tasks are assigned to the satellites in turn; each draws its own samples, their number from a range.

    `outputs` of decoders are numbered task by task ("own") or by the common alphabet of all labels ("alphabet").
    With the latter one output means the same label everywhere, and a task masks the labels it does not distinguish.
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
    min_samples: Count = default_of(dirichlet_split, "min_size")
    total_samples: Count | None = None


class CountsPartition(Section):
    """A random disjoint split into given sample counts, one per satellite."""

    kind: Literal["counts"] = "counts"
    counts: Annotated[tuple[Count, ...], Field(min_length=1)]


class GroundTrackPartition(Section):
    """Each satellite holds the images under its own ground track: what it saw by day in the span before the episode.

    Satellites may hold the same images; one that saw more than `max_samples` keeps a random choice.
    """

    kind: Literal["ground-track"] = "ground-track"
    span_s: Positive = 86_400.0
    swath_m: Positive = 290e3
    min_sun_elevation_deg: Annotated[float, Field(ge=-18, lt=90)] = 10.0
    max_samples: Count = 200


Partition = TaskPartition | EqualPartition | DirichletPartition | CountsPartition | GroundTrackPartition


class Data(Section):
    """Where images come from and how they are split; `data_dir: null` means the SATFL_DATA environment variable.

    In a scenario's file, `data_dir` is relative to that file's folder.
    `source` is `digits`, `blue-marble`, `mnist`, `imagenette`, `eurosat` or `image-folder`. `image_size` is the side in
    pixels that images are scaled and cropped to: needed by the last three sources, not allowed with the others, whose
    size is fixed. `folder` is a folder inside the data folder, for `image-folder` only; null means the data folder.
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


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Training(TrainingSettings, Hardware):
    """Local training, where it runs, and which models are shared and tested.

    A satellite trains as many epochs in a round as its contact and its energy allow, at most `max_epochs`.

    `shared` is what goes over the links and is aggregated: the `encoder`, while decoders stay on board, or `all`.
    All encoders start equal. `first_decoders` says whether decoders that stay on board do so, too.
    `tested` says whether a round is judged by the models that satellites hold after it, or by their models
    right after training, before aggregation.

    `engine` is one of `satfl_env.federated.ENGINES`, or `none`, which trains nothing: all models stay as they are
    and only the physics is simulated.
    """

    engine: str = "auto"
    shared: Literal["encoder", "all"] = "encoder"
    first_decoders: Literal["own", "common"] = "own"
    tested: Literal["held", "trained"] = "held"
    max_epochs: Count = 100

    @model_validator(mode="after")
    def _engine_can(self) -> Training:
        known = (*ENGINES, "none")
        if self.engine not in known:
            raise ValueError(f"engine must be one of {', '.join(map(repr, known))}, got {self.engine!r}")
        if self.engine != "none":
            check_engine(self.engine, self)
        return self


class Relay(Section):
    """Satellites of a Walker plane relay models through the one that a gateway sees longest (FedLEO)."""

    isl_rate_bps: Positive = 1e8


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Rounds(RoundSettings):
    """Communication rounds. `late: null` means that updates come back in the round in which they are trained."""

    late: LateUpdates | None = None
    relay: Relay | None = None


class Target(Section):
    """Ends the episode early, once the mean over satellites of a test metric is at least `value`.

    `metric` is `accuracy` or `balanced_accuracy` of an `mlp-link`, and `psnr_db` or `ms_ssim` of the other models.
    """

    metric: str
    value: Finite

    def reached(self, means: Mapping[str, float]) -> bool:
        """Whether the mean over satellites of the metric, one of `means`, is high enough.

        Raises:
            ValueError: If there is no such metric, which can happen with a model of your own.
        """
        if self.metric not in means:
            raise ValueError(f"target.metric must be one of {', '.join(means)}, got {self.metric!r}")
        return means[self.metric] >= self.value


class Scenario(Section):
    """A whole scenario: constellation, links, on-board resources, data, model, training and rounds."""

    name: str
    description: str = ""
    constellation: Annotated[Constellation, Field(discriminator="kind")]
    links: Annotated[RadioLinks | IdealLinks, Field(discriminator="kind")] = RadioLinks()
    onboard: Onboard = Onboard()
    data: Data
    model: Annotated[Model, Field(discriminator="kind")]
    training: Training = Training()
    rounds: Rounds = Rounds()
    target: Target | None = None

    @model_validator(mode="after")
    def _sections_fit(self) -> Scenario:
        partition = self.data.partition
        if self.model.needs_tasks and partition.kind != "tasks":
            raise ValueError(
                f"model.kind {self.model.kind!r} needs data.partition.kind 'tasks', got {partition.kind!r}"
            )
        if partition.kind == "tasks" and not self.model.needs_tasks:
            raise ValueError(
                f"model.kind {self.model.kind!r} reconstructs images: data.partition.kind 'tasks' does not fit it"
            )
        if partition.kind == "ground-track" and self.constellation.kind == "planar":
            raise ValueError("data.partition.kind 'ground-track' needs a constellation on the globe, got kind 'planar'")
        if self.rounds.relay is not None and self.constellation.kind != "walker":
            raise ValueError(f"rounds.relay needs constellation.kind 'walker', got {self.constellation.kind!r}")
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
