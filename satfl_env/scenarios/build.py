"""From a validated configuration to a running simulation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from satfl_env.federated import (
    ClientTrainer,
    Layout,
    LocalTrainer,
    TrainableModel,
    make_trainer,
    torch_defaults,
    weighted_mean,
)
from satfl_env.scenarios.errors import ScenarioError, prefixed
from satfl_env.scenarios.federated_data import ScenarioImages
from satfl_env.scenarios.loader import resolve
from satfl_env.scenarios.memory import check_memory, memory_needs
from satfl_env.scenarios.schema import Scenario
from satfl_env.semantics import ms_ssim_scales
from satfl_env.settings import default_of
from satfl_env.simulation import (
    UPLOAD_POSITIONS,
    DataPart,
    Ingredients,
    Learner,
    PhysicsOnly,
    RoundProtocol,
    ScenePart,
    Simulation,
    data_facts,
    try_parts,
)


@torch_defaults()
def build(
    scenario: str | Path | Scenario,
    *,
    parts: Mapping[str, Any] | None = None,
    torch_threads: int | None = default_of(Simulation, "torch_threads"),
) -> Simulation:
    """Build the simulation that a scenario describes.

    Args:
        scenario: A built-in scenario's name, a YAML file's path, or a loaded scenario; see `resolve`.
        parts: Your own parts in place of the scenario's, by name; see `satfl_env.simulation.PARTS`.
        torch_threads: Threads PyTorch may use inside a round; None leaves the process's setting alone.

    Raises:
        ScenarioError: If there is no such scenario, or a field does not fit the model, the images, the parts, this
            machine or its memory; the message names it. What depends on the satellites, such as the split of the
            images, is checked by `reset`.
        FileNotFoundError: If the image source needs a data folder that is not there.
        TypeError: If a part's name is unknown or a part has the wrong form; the message names it.
        ValueError: If a part returns impossible numbers.
    """
    scenario = resolve(scenario)
    own = scenario.checked_parts(parts)
    if "scene" not in own:
        check_memory(memory_needs(scenario))
    training = scenario.training
    with prefixed("training.device: ", ScenarioError):
        training.check_visible()
    parts = _chosen(scenario, own)
    ingredients = Ingredients(
        **parts,
        model_bits=scenario.links.model_bits,
        upload_positions=UPLOAD_POSITIONS[scenario.links.positions_at],
        upload_snr_db=scenario.links.upload_snr_db,
        test_snr_db=scenario.model.channel.test_snr_db,
        learner=PhysicsOnly if training.engine == "none" else Learner,
        trainer=partial(_make_trainer, scenario, parts["protocol"]),
        shared=training.shared,
        first_decoders=training.first_decoders,
        tested=training.tested,
        max_epochs=training.max_epochs,
        rounds=scenario.rounds,
        forecast=scenario.observation,
        device=training.device,
        structures=scenario.structures,
    )
    try_parts(ingredients, own)
    return Simulation(ingredients, torch_threads=torch_threads)


def similarity_scales(scenario: Scenario) -> int:
    """Number of scales in the MS-SSIM of the scenario's images; all five need more than 160 pixels per side."""
    _, height, width = ScenarioImages(scenario.data).image_shape
    return ms_ssim_scales(height, width)


def _chosen(scenario: Scenario, own: Mapping[str, Any]) -> dict[str, Any]:
    """All parts by name: the user's own, and the scenario's for the others."""
    parts = {
        "scene": scenario.constellation.scenes(scenario.rounds),
        "links": scenario.links,
        "access": scenario.access,
        "energy": scenario.onboard.energy,
        "computer": scenario.onboard,
        "fleet": scenario.make_fleet(),
        "protocol": scenario.rounds.protocol(scenario.constellation),
        "combine": weighted_mean,
        "faults": scenario.faults,
        "server": scenario.server,
        "compression": scenario.compression,
        "local": scenario.local,
        **own,
    }
    # Images are only loaded if they are used.
    if "data" not in own:
        parts["data"] = ScenarioImages(scenario.data)
    if "model" not in own:
        parts["model"] = partial(_make_model, scenario, parts["data"], parts["scene"])
    return parts


def _make_trainer(scenario: Scenario, protocol: RoundProtocol, model: TrainableModel) -> LocalTrainer:
    """The trainer of a model under a protocol; errors name the scenario's field."""
    training = scenario.training
    with prefixed("training.", ScenarioError):
        trainer = make_trainer(training.engine, model, training, training)
    clients = getattr(protocol, "clients", 1)
    return trainer if clients == 1 else ClientTrainer(trainer, clients)


def _make_model(scenario: Scenario, data: DataPart, scene: ScenePart) -> TrainableModel:
    """A model for the image shape and the outputs of the data."""
    facts = data_facts(data, scene)
    try:
        with prefixed("model: ", ScenarioError):
            model = scenario.model.make(facts.image_shape, facts.num_outputs)
    except RuntimeError as error:  # PyTorch's of sizes beyond its own
        raise ScenarioError(f"model: {str(error).splitlines()[0]}") from error
    layout = Layout.of(model)
    num_shared = layout.num_shared(scenario.training.shared)
    if scenario.structures is not None:
        with prefixed("model: ", ScenarioError):
            scenario.structures.masks(layout, num_shared)
    needs = memory_needs(
        scenario,
        image_numbers=prod(facts.image_shape),
        parameters=layout.num_parameters,
        shared_parameters=num_shared,
    )
    check_memory(needs)
    return model
