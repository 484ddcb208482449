"""The configuration of a scenario: every field, its unit, its default and what is allowed.

Unknown keys and impossible values are rejected. Where a section has the settings of a runtime object, it is that
object's class. A field's name ends in its unit: _m, _s, _hz, _bps, _w, _j, _k, _deg, _mps (m/s), _db, _dbi.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from satfl_env import federated, links
from satfl_env.data import NUM_CLASSES, check_source
from satfl_env.federated import (
    FedAdam,
    FedAvg,
    FedAvgM,
    Hardware,
    Quantised,
    RandomK,
    Shared,
    TopK,
    TrainingSettings,
    check_engine,
)
from satfl_env.onboard import Battery, EnergyDraws, OnboardComputer
from satfl_env.orbits import ForecastSettings
from satfl_env.paths import PathText
from satfl_env.scenarios.constellations import Constellation, Orbiting, TopologyKind
from satfl_env.scenarios.errors import ScenarioError, prefixed
from satfl_env.scenarios.models import Model
from satfl_env.scenarios.partitions import Partition
from satfl_env.scenarios.section import Section
from satfl_env.settings import STRICT, Count, Decibel, Finite, NonNegative, Positive, default_of
from satfl_env.simulation import (
    MORE_PARTS,
    STATE_PARTS,
    Faults,
    FedProx,
    FirstDecoders,
    GatewayAccess,
    Kind,
    Kinds,
    LateUpdates,
    OnboardAggregation,
    OneContact,
    PlainLoss,
    PositionsAt,
    Relays,
    RoundProtocol,
    RoundSettings,
    Scaffold,
    Tested,
)
from satfl_env.suggestions import did_you_mean


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Uploads:
    """How a model is sent: `model_bits: null` means 32 bits per shared parameter. `compression` makes it smaller.

    `upload_snr_db` adds white noise to the uploaded updates, at this SNR of each update's own power; null adds none.
    `positions_at` says where satellites return a model from: where they are at the `start` of the round, or where each
    is when its `upload` begins.
    """

    model_bits: Positive | None = None
    upload_snr_db: Decibel | None = None
    positions_at: PositionsAt = "start"


Compressor = Annotated[Quantised | TopK | RandomK, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Compression(federated.Compression):
    """`federated.Compression`: how updates get smaller on their way up, and models on their way down.

    The bits on the link, `links.model_bits` or 32 per shared parameter, are multiplied by the bits of the compressed
    vector over 32 per shared parameter.
    """

    upload: Compressor | None = None
    download: Compressor | None = None


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


class Data(Section):
    """Where images come from and how they are split; `data_dir: null` means the SATFL_DATA environment variable.

    In a scenario's file, `data_dir` is relative to that file's folder.
    `source` is `digits`, `blue-marble`, `mnist`, `imagenette`, `eurosat` or `image-folder`. `image_size` is the side in
    pixels that images are scaled and cropped to: needed by the last three sources, not allowed with the others, whose
    size is fixed. `folder` is a folder inside the data folder, for `image-folder` only; null means the data folder.
    `max_value`, for `image-folder` only, is the value that becomes 1 where a pixel is one number of more than 8 bits;
    null means the type's greatest for 12 or 16 bits, while wider and floating-point ones are refused.
    `test_samples` of the source's test images are drawn anew for each episode; null, or more than there are, means all.
    """

    source: str
    data_dir: PathText | None = None
    folder: str | None = None
    image_size: Count | None = None
    max_value: Positive | None = None
    partition: Annotated[Partition, Field(discriminator="kind")]
    test_samples: Count | None = None

    @property
    def folder_options(self) -> dict[str, Any]:
        """The options of the source `image-folder` that are given."""
        options = {"folder": self.folder, "max_value": self.max_value}
        return {name: value for name, value in options.items() if value is not None}

    @model_validator(mode="after")
    def _loadable(self) -> Data:
        check_source(self.source, self.image_size)
        if self.source in NUM_CLASSES:
            with prefixed("partition."):
                self.partition.check_classes(NUM_CLASSES[self.source])
        for name, value in self.folder_options.items():
            if self.source != "image-folder":
                raise ValueError(f"{name} goes with source 'image-folder' alone, got {value!r} for {self.source!r}")
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

    `engine` is one of `satfl_env.federated.ENGINES`. The engine `none` trains nothing: all models stay as they are and
    only the physics is simulated.
    """

    engine: str = "auto"
    shared: Shared = "encoder"
    first_decoders: FirstDecoders = "own"
    tested: Tested = "held"
    max_epochs: Count = 100

    @model_validator(mode="after")
    def _engine_can(self) -> Training:
        check_engine(self.engine, self)
        return self


class Relay(Section):
    """Satellites of a Walker constellation relay models through the one whose contact leaves the most time (FedLEO).

    `topology: plane` links every two satellites of a plane that see each other, `grid` each one with its two neighbours
    in its plane and with one in each plane beside it. A link exists where the line of sight stays higher than
    `grazing_height_m`.

    All links have the rate `isl_rate_bps`, null means 1e8, and `isl_power_w` is drawn while sending on them, null means
    the power of the link to a gateway; or both follow from a link `budget`.

    `combine_on_board` combines the updates of a cluster that reach a gateway through the same satellite in that one, so
    that one model goes down instead of many.
    """

    topology: TopologyKind = "plane"
    isl_rate_bps: Positive | None = None
    isl_power_w: NonNegative | None = None
    budget: links.IslBudget | None = None
    grazing_height_m: NonNegative = default_of(Relays, "grazing_height_m")
    combine_on_board: bool = False

    @property
    def isl(self) -> links.Isl:
        """The links between satellites."""
        if self.budget is not None:
            return self.budget
        if self.isl_rate_bps is None:
            return links.FixedIsl(transmit_power_w=self.isl_power_w)
        return links.FixedIsl(self.isl_rate_bps, self.isl_power_w)

    @model_validator(mode="after")
    def _one_kind_of_links(self) -> Relay:
        for name in ("isl_rate_bps", "isl_power_w"):
            if self.budget is not None and getattr(self, name) is not None:
                raise ValueError(f"{name} goes without budget alone, got {getattr(self, name):g} beside one")
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Rounds(RoundSettings):
    """Communication rounds. `late: null` means that updates come back in the round in which they are trained."""

    late: LateUpdates | None = None
    relay: Relay | None = None

    @model_validator(mode="after")
    def _one_way_to_aggregate(self) -> Rounds:
        if self.late is not None and self.relay is not None and self.relay.combine_on_board:
            raise ValueError("relay.combine_on_board must be false with late updates, which gateways collect, got true")
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Observation(ForecastSettings):
    """Which parts of the state are observed, and how far its forecast reaches.

    `leave_out` names parts that are not observed. `add` names some that are not by default: `contact_start_s` and
    `contact_end_s`, `eclipse_start_s` and `eclipse_end_s`, `gateway_version`, `rounds_to_merge`, `waiting`; see
    `satfl_env.NetworkState`. The simulation's own state has all of them. What nobody reads is not computed.
    """

    leave_out: tuple[str, ...] = ()
    add: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the observed parts."""
        return (*(part for part in STATE_PARTS if part not in self.leave_out), *self.add)

    @field_validator("leave_out")
    @classmethod
    def _can_be_left_out(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known_parts(value, STATE_PARTS)

    @field_validator("add")
    @classmethod
    def _can_be_added(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known_parts(value, MORE_PARTS)

    @model_validator(mode="after")
    def _something_is_observed(self) -> Observation:
        if not self.parts:
            raise ValueError("leave_out must leave at least one part, got all of them")
        return self


def _known_parts(names: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Names of parts of the state, if all are known ones."""
    for name in names:
        if name not in known:
            raise ValueError(f"must be names of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    return names


class Target(Section):
    """Ends the episode early, once the mean over satellites of a test metric is at least `value`.

    `metric` is `accuracy` or `balanced_accuracy` of an `mlp-link`, and `psnr_db` or `ms_ssim` of the other models.
    """

    metric: str
    value: Finite

    def check(self, metrics: Collection[str]) -> None:
        """Raise `ScenarioError` if the target's metric is none of these."""
        if self.metric not in metrics:
            raise ScenarioError(f"target.metric must be one of {', '.join(metrics)}, got {self.metric!r}")

    def reached(self, metrics: Mapping[str, NDArray[np.float64]]) -> bool:
        """Whether the mean over satellites of the target's metric is high enough.

        Args:
            metrics: The test metrics, each of all satellites, (S,).

        Raises:
            ScenarioError: If the target's metric is none of them.
        """
        self.check(metrics)
        return float(metrics[self.metric].mean()) >= self.value


class Scenario(Section):
    """A whole scenario: constellation, links, on-board resources, data, model, training and rounds.

    `local` is what satellites minimise in training: their `loss`, or terms beside it.
    `server` is how gateways move their models along the combined updates; null means by one step of length 1.
    `faults: null` means that nothing fails.
    """

    name: str
    description: str = ""
    constellation: Annotated[Constellation, Field(discriminator="kind")]
    links: Annotated[RadioLinks | IdealLinks, Field(discriminator="kind")] = RadioLinks()
    access: GatewayAccess = GatewayAccess()
    onboard: Onboard = Onboard()
    fleet: tuple[Kind, ...] = ()
    data: Data
    model: Annotated[Model, Field(discriminator="kind")]
    training: Training = Training()
    rounds: Rounds = Rounds()
    observation: Observation = Observation()
    compression: Compression = Compression()
    local: Annotated[PlainLoss | FedProx | Scaffold, Field(discriminator="kind")] = PlainLoss()
    server: Annotated[FedAvg | FedAvgM | FedAdam, Field(discriminator="kind")] | None = None
    target: Target | None = None
    faults: Faults | None = None

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
        if self.links.kind == "ideal" and self.access.sharing != "equal":
            raise ValueError(
                f"access.sharing must be 'equal' with the fixed rate of links.kind 'ideal', got {self.access.sharing!r}"
            )
        with prefixed("fleet: "):
            self.make_fleet().draw(self.constellation.num_satellites, np.random.default_rng(0))
        if isinstance(self.links, RadioLinks) and self.links.atmosphere:
            if not isinstance(self.constellation, Orbiting):
                raise ValueError("links.atmosphere needs a constellation on the globe, got kind 'planar'")
            with prefixed("links."):
                self.links.check_sites(self.constellation.sites)
        self.make_protocol()
        with prefixed("constellation."):
            self.constellation.check(self.rounds)
        return self

    @model_validator(mode="after")
    def _final_tests_are_possible(self) -> Scenario:
        training, final_snrs_db = self.training, self.model.channel.final_snrs_db
        if final_snrs_db and (training.shared != "all" or training.engine == "none"):
            raise ValueError(
                f"model.channel.final_snrs_db must be empty, got {list(final_snrs_db)}: gateways hold whole models to "
                f"test only where training.shared is 'all' (got {training.shared!r}) and training.engine not 'none' "
                f"(got {training.engine!r})"
            )
        return self

    def check_target(self, parts: Collection[str] = ()) -> None:
        """Raise `ScenarioError` if the target's metric is none of the model's, unless parts have another `model`."""
        if self.target is not None and "model" not in parts:
            self.target.check(self.model.metrics)

    def make_fleet(self) -> Kinds:
        """The kinds of satellites.

        Raises:
            ValueError: If a kind states what the sections do not have.
        """
        energy = self.onboard.energy
        if isinstance(energy, Battery) and energy.panels and any("harvest_w" in kind.stated for kind in self.fleet):
            raise ValueError("harvest_w goes with onboard.energy.panels: null alone")
        return Kinds(self.fleet, self.links, self.onboard, energy)

    def make_protocol(self) -> RoundProtocol:
        """The protocol of the rounds.

        Raises:
            ValueError: If the constellation has no planes that satellites could have links in.
        """
        protocol = OneContact() if self.rounds.late is None else self.rounds.late
        relay = self.rounds.relay
        if relay is None:
            return protocol
        topology = self.constellation.topology(relay.topology)
        if relay.combine_on_board:
            return OnboardAggregation(topology, relay.isl, relay.grazing_height_m)
        return Relays(topology, relay.isl, protocol, relay.grazing_height_m)
