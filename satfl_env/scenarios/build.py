"""From a validated configuration to a running simulation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from satfl_env.federated import SemanticModel, make_trainer, weighted_mean
from satfl_env.orbits import (
    ConstellationScene,
    KeplerOrbits,
    PlanarScene,
    Scene,
    Sgp4Orbits,
    load_elements,
    uniform_phases,
    walker,
)
from satfl_env.scenarios import schema
from satfl_env.scenarios.federated_data import ScenarioImages
from satfl_env.scenarios.loader import blaming
from satfl_env.scenarios.models import Model
from satfl_env.semantics import ms_ssim_scales
from satfl_env.settings import default_of
from satfl_env.simulation import (
    DataPart,
    Ingredients,
    Learner,
    OneContact,
    PhysicsOnly,
    PlaneRelays,
    RoundProtocol,
    ScenePart,
    Simulation,
    check_parts,
    data_facts,
    try_parts,
)


def build(
    scenario: schema.Scenario,
    *,
    parts: Mapping[str, Any] | None = None,
    torch_threads: int | None = default_of(Simulation, "torch_threads"),
) -> Simulation:
    """Build the simulation that a scenario describes.

    Args:
        scenario: A validated scenario.
        parts: Your own parts in place of the scenario's, by name; see `satfl_env.simulation.PARTS`.
        torch_threads: Threads PyTorch may use inside a round; None leaves the process's setting alone.

    Raises:
        ScenarioError: If a field does not fit the images or this machine; the message names it. What depends on
            the satellites, such as the split of the images, is checked by `reset`.
        FileNotFoundError: If the image source needs a data folder that is not there.
        TypeError: If a part's name is unknown or a part has the wrong form; the message names it.
        ValueError: If a part returns impossible numbers.
    """
    training, own = scenario.training, check_parts(parts)
    with blaming("training.device"):
        training.check_visible()
    ingredients = Ingredients(
        **_chosen(scenario, own),
        model_bits=scenario.links.model_bits,
        upload_snr_db=scenario.links.upload_snr_db,
        test_snr_db=scenario.model.channel.test_snr_db,
        learner=PhysicsOnly if training.engine == "none" else Learner,
        trainer=partial(make_trainer, training.engine, settings=training, hardware=training),
        shared=training.shared,
        first_decoders=training.first_decoders,
        tested=training.tested,
        max_epochs=training.max_epochs,
        rounds=scenario.rounds,
    )
    try_parts(ingredients, own)
    return Simulation(ingredients, torch_threads=torch_threads)


def similarity_scales(scenario: schema.Scenario) -> int:
    """Number of scales in the MS-SSIM of the scenario's images; all five need more than 160 pixels per side."""
    _, height, width = ScenarioImages(scenario.data).image_shape
    return ms_ssim_scales(height, width)


def _chosen(scenario: schema.Scenario, own: Mapping[str, Any]) -> dict[str, Any]:
    """All parts by name: the user's own, and the scenario's for the others."""
    parts = {
        "scene": partial(_make_scene, scenario.constellation),
        "links": scenario.links,
        "energy": scenario.onboard.energy,
        "computer": scenario.onboard,
        "protocol": _make_protocol(scenario),
        "combine": weighted_mean,
        **own,
    }
    # Images are only loaded if they are used.
    if "data" not in own:
        parts["data"] = ScenarioImages(scenario.data)
    if "model" not in own:
        parts["model"] = partial(_make_model, scenario.model, parts["data"], parts["scene"])
    return parts


def _make_scene(config: schema.Constellation, rng: np.random.Generator) -> Scene:
    if isinstance(config, schema.PlanarConstellation):
        return _planar_scene(config, rng)
    if isinstance(config, schema.ElementsConstellation):
        orbits: Sgp4Orbits | KeplerOrbits = load_elements(config.path, config.epoch)
    else:
        orbits = walker(
            config.satellites,
            config.planes,
            config.phasing,
            altitude_m=config.altitude_m,
            inclination_deg=config.inclination_deg,
            epoch=config.epoch,
            pattern=config.pattern,
            j2=config.j2,
        )
    start_s = rng.uniform(0.0, config.start_within_s)
    return ConstellationScene(orbits.advanced(start_s), config.gateways)


def _make_protocol(scenario: schema.Scenario) -> RoundProtocol:
    rounds, constellation = scenario.rounds, scenario.constellation
    protocol = rounds.late or OneContact()
    if rounds.relay is None:
        return protocol
    # The schema lets nothing else through.
    assert isinstance(constellation, schema.WalkerConstellation)
    return PlaneRelays(constellation.planes, rounds.relay.isl_rate_bps, protocol)


def _make_model(config: Model, data: DataPart, scene: ScenePart) -> SemanticModel:
    """A model for the image shape and the outputs of the data."""
    facts = data_facts(data, scene)
    with blaming("model"):
        return config.make(facts.image_shape, facts.num_outputs)


def _planar_scene(config: schema.PlanarConstellation, rng: np.random.Generator) -> PlanarScene:
    radius_m = np.repeat([c.radius_m for c in config.circles], [c.satellites for c in config.circles])
    return PlanarScene(
        circle_radius_m=radius_m,
        phase_rad=uniform_phases(len(radius_m), rng),
        gateway_m=config.gateways_m,
        centre_m=config.centre_m,
        speed_mps=config.speed_mps,
        altitude_m=config.altitude_m,
        coverage_radius_m=config.coverage_radius_m,
    )
