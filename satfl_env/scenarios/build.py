"""From a validated configuration to a running simulation."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from satfl_env.federated import Hardware, SemanticModel, TrainingSettings
from satfl_env.links import IdealLinks, RadioLinks
from satfl_env.onboard import solar_power_w
from satfl_env.orbits import (
    ConstellationScene,
    Gateway,
    KeplerOrbits,
    PlanarScene,
    Scene,
    Sgp4Orbits,
    load_elements,
    site,
    uniform_phases,
    walker,
)
from satfl_env.scenarios import schema
from satfl_env.scenarios.federated_data import federated_images
from satfl_env.scenarios.loader import ScenarioError, blaming
from satfl_env.semantics import Channel, ConvJSCC, MLPLink, SwinJSCC, ms_ssim_scales
from satfl_env.simulation import (
    Battery,
    EnergyDraws,
    Ingredients,
    LateUpdates,
    Links,
    OnboardComputer,
    PlaneRelays,
    RoundSettings,
    Simulation,
)


def build(scenario: schema.Scenario, *, torch_threads: int | None = 1) -> Simulation:
    """Build the simulation that a scenario describes.

    Args:
        scenario: A validated scenario.
        torch_threads: Threads PyTorch may use inside a round; None leaves the process's setting alone.

    Raises:
        ScenarioError: If a field does not fit the images or this machine; the message names it. Of what depends on
            the satellites, the split of the images, `reset` tells.
        FileNotFoundError: If the image source needs a data folder that is not there.
    """
    training, onboard = scenario.training, scenario.onboard
    data = federated_images(scenario.data)
    with blaming("training.device"):
        hardware = Hardware(training.device, training.precision, training.workers)
    ingredients = Ingredients(
        scene=partial(_make_scene, scenario.constellation),
        links=_make_links(scenario.links),
        model_bits=scenario.links.model_bits,
        upload_snr_db=scenario.links.upload_snr_db,
        computer=OnboardComputer(onboard.cpu_max_hz, onboard.cycles_per_sample, onboard.kappa),
        energy=_make_energy(onboard.energy),
        data=data,
        model=partial(_make_model, scenario.model, data.image_shape, data.num_outputs),
        training=TrainingSettings(
            batch_size=training.batch_size,
            learning_rate=training.learning_rate,
            optimizer=training.optimizer,
            batches_per_epoch=training.batches_per_epoch,
            round_share=training.round_share,
        ),
        test_snr_db=scenario.model.channel.test_snr_db,
        engine=training.engine,
        hardware=hardware,
        shared=training.shared,
        first_decoders=training.first_decoders,
        tested=training.tested,
        max_epochs=training.max_epochs,
        rounds=_make_rounds(scenario.rounds, scenario.constellation),
    )
    return Simulation(ingredients, torch_threads=torch_threads)


def similarity_scales(scenario: schema.Scenario) -> int:
    """Scales that the MS-SSIM of the scenario's images has; five need images of more than 160 pixels a side."""
    _, height, width = federated_images(scenario.data).image_shape
    return ms_ssim_scales(height, width)


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
    return ConstellationScene(orbits.advanced(start_s), [_make_gateway(gateway) for gateway in config.gateways])


def _make_rounds(config: schema.Rounds, constellation: schema.Constellation) -> RoundSettings:
    relay = None
    if config.relay is not None and isinstance(constellation, schema.WalkerConstellation):
        relay = PlaneRelays(constellation.planes, config.relay.isl_rate_bps)
    late = None if config.late is None else LateUpdates(**config.late.model_dump())
    return RoundSettings(**config.model_dump(exclude={"late", "relay"}), late=late, relay=relay)


def _make_gateway(config: schema.Gateway) -> Gateway:
    if config.latitude_deg is None or config.longitude_deg is None:
        return site(config.name, min_elevation_deg=config.min_elevation_deg)
    return Gateway(
        config.name, config.latitude_deg, config.longitude_deg, config.altitude_m or 0.0, config.min_elevation_deg
    )


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


def _make_links(config: schema.RadioLinks | schema.IdealLinks) -> Links:
    settings = config.model_dump(exclude={"kind", "model_bits", "upload_snr_db"})
    return RadioLinks(**settings) if config.kind == "radio" else IdealLinks(**settings)


def _make_energy(config: schema.EnergyDraws | schema.Battery) -> EnergyDraws | Battery:
    if isinstance(config, schema.EnergyDraws):
        return EnergyDraws(config.mean_j, config.std_j)
    panels, harvest_w = config.panels, config.harvest_w
    if panels is not None:
        harvest_w = float(solar_power_w(panels.area_m2, panels.efficiency))
    return Battery(
        capacity_j=config.capacity_j,
        initial_j=config.initial_j,
        depth_of_discharge=config.depth_of_discharge,
        harvest_w=harvest_w,
        standing_w=config.standing_w,
    )


def _make_model(
    config: schema.MLPLinkModel | schema.ConvJSCCModel | schema.SwinJSCCModel,
    image_shape: tuple[int, int, int],
    num_outputs: int,
    generator: torch.Generator,
) -> SemanticModel:
    settings = config.model_dump(exclude={"kind", "channel"})
    channel = Channel(**config.channel.model_dump(exclude={"test_snr_db", "final_snrs_db"}))
    if config.kind == "mlp-link":
        return MLPLink(int(np.prod(image_shape)), num_outputs, channel=channel, generator=generator, **settings)
    _check_sides(config, image_shape)
    jscc = ConvJSCC if config.kind == "conv-jscc" else SwinJSCC
    # All else is checked already.
    with blaming("model.bandwidth_ratio"):
        return jscc(image_shape, channel=channel, generator=generator, **settings)


def _check_sides(config: schema.ConvJSCCModel | schema.SwinJSCCModel, image_shape: tuple[int, int, int]) -> None:
    _, height, width = image_shape
    if height % config.pixel_multiple or width % config.pixel_multiple:
        raise ScenarioError(
            f"data.image_size: images must have sides of a multiple of {config.pixel_multiple} pixels "
            f"for this model of kind {config.kind!r}, got {height} x {width}"
        )
