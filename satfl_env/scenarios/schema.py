"""The configuration of a scenario: every field, its unit, its default and what is allowed.

Larger sections are in modules of their own. Unknown keys and impossible values are rejected. Where a section has the
settings of a runtime object, it is that object's class. A field's name ends in its unit: _m, _s, _hz, _bps, _w, _j, _k,
_deg, _mps (m/s), _db, _dbi.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from satfl_env.data import NUM_CLASSES, check_source
from satfl_env.federated import (
    FedAdam,
    FedAvg,
    FedAvgM,
    Hardware,
    Shared,
    TrainingSettings,
    check_engine,
)
from satfl_env.onboard import Battery, EnergyDraws, OnboardComputer
from satfl_env.paths import PathText
from satfl_env.scenarios.chosen import OF_WHOLE_MODELS, Chosen
from satfl_env.scenarios.constellation_section import Orbiting
from satfl_env.scenarios.constellations import Constellation
from satfl_env.scenarios.errors import ScenarioError, prefixed, refuse_together
from satfl_env.scenarios.gossip import NO_GATEWAY
from satfl_env.scenarios.links import Compression, IdealLinks, NomaLinks, RadioLinks
from satfl_env.scenarios.models import Model
from satfl_env.scenarios.observation import Observation
from satfl_env.scenarios.partitions import Partition
from satfl_env.scenarios.rounds import DEVICES_TRAIN, Rounds
from satfl_env.scenarios.section import Section, by_default
from satfl_env.settings import STRICT, Count, Finite, Positive
from satfl_env.simulation import (
    Faults,
    FedProx,
    FirstDecoders,
    GatewayAccess,
    Kind,
    Kinds,
    PlainLoss,
    Scaffold,
    Structures,
    Tested,
    check_parts,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Onboard(OnboardComputer):
    """The on-board computer and its energy."""

    energy: Annotated[EnergyDraws | Battery, Field(discriminator="kind"), by_default(EnergyDraws)] = EnergyDraws()


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
        if self.source != "image-folder":
            given = dict.fromkeys(self.folder_options, True)
            refuse_together(given, f"source {self.source!r}", "'image-folder' alone has it")
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


# Sections that switch nothing on by default, and have no null of their own.
_OPTIONS = ("access", "compression", "fleet", "local")


class Scenario(Section):
    """A whole scenario: constellation, links, on-board resources, data, model, training and rounds.

    `local` is what satellites minimise in training: their `loss`, or terms beside it.
    `server` is how gateways move their models along the combined updates; null means by one step of length 1.
    With `structures` satellites with weaker computers train narrower models.
    Null switches off `access`, `compression`, `faults`, `fleet`, `local`, `server` and `structures`.
    `reward_scale` multiplies the environment's reward; 1 leaves the return the rise of the metric, in its own unit.
    """

    name: str
    description: str = ""
    constellation: Annotated[Constellation, Field(discriminator="kind")]
    links: Annotated[RadioLinks | NomaLinks | IdealLinks, Field(discriminator="kind"), by_default(RadioLinks)] = (
        RadioLinks()
    )
    access: GatewayAccess = GatewayAccess()
    onboard: Onboard = Onboard()
    fleet: tuple[Kind, ...] = ()
    data: Data
    model: Annotated[Model, Field(discriminator="kind")]
    training: Training = Training()
    rounds: Rounds = Rounds()
    observation: Observation = Observation()
    compression: Compression = Compression()
    local: Annotated[PlainLoss | FedProx | Scaffold, Field(discriminator="kind"), by_default(PlainLoss)] = PlainLoss()
    structures: Structures | None = None
    server: Annotated[FedAvg | FedAvgM | FedAdam, Field(discriminator="kind")] | None = None
    target: Target | None = None
    faults: Faults | None = None
    reward_scale: Positive = 1.0

    @model_validator(mode="before")
    @classmethod
    def _null_is_off(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {name: value for name, value in given.items() if value is not None or name not in _OPTIONS}

    @model_validator(mode="after")
    def _data_fits(self) -> Scenario:
        partition = self.data.partition
        if self.model.needs_tasks and partition.kind != "tasks":
            raise ValueError(
                f"model.kind {self.model.kind!r} needs data.partition.kind 'tasks', got {partition.kind!r}"
            )
        if partition.kind == "tasks" and not self.model.needs_tasks:
            raise ValueError(
                f"model.kind {self.model.kind!r} reconstructs images: data.partition.kind 'tasks' does not fit it"
            )
        if partition.kind == "ground-track":
            self._on_globe("data.partition.kind 'ground-track'")
        return self

    @model_validator(mode="after")
    def _links_fit(self) -> Scenario:
        self._chosen.refuse_division(self.links)
        with prefixed("fleet: "):
            self.make_fleet().draw(self.constellation.num_satellites, np.random.default_rng(0))
        if isinstance(self.links, RadioLinks | NomaLinks) and self.links.atmosphere:
            sites = self._on_globe("links.atmosphere").sites
            with prefixed("links."):
                self.links.check_sites(sites)
        return self

    @model_validator(mode="after")
    def _needs_no_gateway(self) -> Scenario:
        """Check that nothing is switched on that gateways would do in rounds in which none takes part."""
        if self.rounds.gossip is not None:
            refuse_together(self._chosen.of_gateways, "rounds.gossip", NO_GATEWAY)
        return self

    @model_validator(mode="after")
    def _rounds_fit(self) -> Scenario:
        self.rounds.protocol(self.constellation)
        with prefixed("constellation."):
            self.constellation.check(self.rounds)
        if self.faults is not None:
            self.faults.check(self.rounds.longest_s(self.constellation.horizon_s))
        return self

    @model_validator(mode="after")
    def _devices_have_their_own_computers(self) -> Scenario:
        """Check that nothing is stated about the satellites' computers where these train nothing."""
        if self.rounds.relay is not None and self.rounds.relay.clients is not None:
            refuse_together(self._chosen.of_computers, "rounds.relay.clients", DEVICES_TRAIN)
        return self

    @model_validator(mode="after")
    def _structures_fit(self) -> Scenario:
        """Check that nothing is switched on that takes all satellites to train the same numbers."""
        late, relay = self.rounds.late, self.rounds.relay
        whole_alone = {
            "rounds.relay.combine_on_board": relay is not None and relay.combine_on_board,
            "rounds.relay.clients": relay is not None and relay.clients is not None,
            "rounds.broadcast": self.rounds.broadcast > 1,
            f"rounds.late.kind {late and late.kind!r}": isinstance(late, OF_WHOLE_MODELS),
        }
        self._chosen.refuse_with_structures(whole_alone)
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

    @property
    def _chosen(self) -> Chosen:
        return Chosen(**{section.name: getattr(self, section.name) for section in fields(Chosen)})

    def _on_globe(self, what: str) -> Orbiting:
        """The constellation, which must be on the globe for `what`."""
        if not isinstance(self.constellation, Orbiting):
            raise ValueError(f"{what} needs a constellation on the globe, got kind {self.constellation.kind!r}")
        return self.constellation

    def checked_parts(self, parts: Mapping[str, Any] | None) -> dict[str, Any]:
        """The parts by name that take the place of the scenario's own.

        Raises:
            ScenarioError: If the target's metric is none of the model's, unless parts have another `model`, or a part
                does not go with what is switched on, as with settings.
            TypeError: As `satfl_env.simulation.check_parts` does.
        """
        own = check_parts(parts)
        if self.target is not None and "model" not in own:
            self.target.check(self.model.metrics)
        self._chosen.check_parts(own)
        return own

    def make_fleet(self) -> Kinds:
        """The kinds of satellites.

        Raises:
            ValueError: If a kind states what the sections do not have.
        """
        energy = self.onboard.energy
        if isinstance(energy, Battery) and energy.panels:
            stated = {"harvest_w": any("harvest_w" in kind.stated for kind in self.fleet)}
            refuse_together(stated, "onboard.energy.panels", "panels say what is harvested")
        return Kinds(self.fleet, self.links, self.onboard, energy)
