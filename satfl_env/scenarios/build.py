"""From a validated configuration to a running simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

from satfl_env.data import (
    ImageData,
    Task,
    common_alphabet,
    count_split,
    dirichlet_split,
    draw_task_samples,
    equal_split,
    label_pmf,
    load_images,
    places_under_track,
    task_labels,
    task_letters,
)
from satfl_env.federated import LocalData, SemanticModel, make_trainer, weighted_mean
from satfl_env.orbits import (
    ConstellationScene,
    KeplerOrbits,
    PlanarScene,
    Scene,
    Sgp4Orbits,
    ground_track,
    load_elements,
    uniform_phases,
    walker,
)
from satfl_env.scenarios import schema
from satfl_env.scenarios.loader import ScenarioError
from satfl_env.scenarios.models import ImageShape, Model
from satfl_env.semantics import ms_ssim_scales
from satfl_env.settings import default_of
from satfl_env.simulation import (
    FederatedData,
    Ingredients,
    Learner,
    OneContact,
    PhysicsOnly,
    PlaneRelays,
    RoundProtocol,
    Simulation,
    check_parts,
    try_parts,
)

IndexArrays = list[np.ndarray]
SharedOut = schema.EqualPartition | schema.DirichletPartition | schema.CountsPartition

# Satellites in low orbits sweep the ground at some 7 km/s; the next sample comes before half a swath has passed.
_SAMPLES_PER_SWATH, _GROUND_SPEED_MPS = 2, 7500.0


def build(
    scenario: schema.Scenario,
    *,
    parts: Mapping[str, Any] | None = None,
    torch_threads: int | None = default_of(Simulation, "torch_threads"),
) -> Simulation:
    """Build the simulation that a scenario describes.

    Args:
        scenario: A validated scenario.
        parts: Parts of your own in place of the scenario's, by name; see `satfl_env.simulation.PARTS`.
        torch_threads: Threads PyTorch may use inside a round; None leaves the process's setting alone.

    Raises:
        ScenarioError: If a field does not fit the images or this machine; the message names it. Of what depends on
            the satellites, the split of the images, `reset` tells.
        FileNotFoundError: If the image source needs a data folder that is not there.
        TypeError: If there is no part of a name, or one has the wrong form; the message names it.
        ValueError: If a part gives numbers that cannot be.
    """
    training, own = scenario.training, check_parts(parts)
    with _blaming("training.device"):
        training.check_visible()
    scene = own.get("scene") or partial(_make_scene, scenario.constellation)
    data = own.get("data") or partial(_make_data, scenario.data)
    ingredients = Ingredients(
        scene=scene,
        links=own.get("links") or scenario.links,
        model_bits=scenario.links.model_bits,
        upload_snr_db=scenario.links.upload_snr_db,
        computer=own.get("computer") or scenario.onboard,
        energy=own.get("energy") or scenario.onboard.energy,
        data=data,
        model=own.get("model") or _model_factory(scenario),
        test_snr_db=scenario.model.channel.test_snr_db,
        learner=PhysicsOnly if training.engine == "none" else Learner,
        trainer=partial(make_trainer, training.engine, settings=training, hardware=training),
        shared=training.shared,
        first_decoders=training.first_decoders,
        tested=training.tested,
        combine=own.get("combine") or weighted_mean,
        max_epochs=training.max_epochs,
        protocol=own.get("protocol") or _make_protocol(scenario),
        rounds=scenario.rounds,
    )
    try_parts(ingredients, own)
    return Simulation(ingredients, torch_threads=torch_threads)


def similarity_scales(scenario: schema.Scenario) -> int:
    """Scales that the MS-SSIM of the scenario's images has; five need images of more than 160 pixels a side."""
    height, width = _images(scenario.data).test_images.shape[-2:]
    return ms_ssim_scales(height, width)


@contextmanager
def _blaming(field: str) -> Iterator[None]:
    """Turn errors about values into one that names the scenario's field they come from."""
    try:
        yield
    except ValueError as error:
        raise ScenarioError(f"{field}: {error}") from error


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


def _model_factory(scenario: schema.Scenario) -> Callable[[], SemanticModel]:
    images = _images(scenario.data).train_images
    return partial(_make_model, scenario.model, images.shape[1:], _num_outputs(scenario.data.partition))


def _make_model(config: Model, image_shape: ImageShape, num_outputs: int) -> SemanticModel:
    with _blaming("model"):
        return config.make(image_shape, num_outputs)


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


def _images(config: schema.Data) -> ImageData:
    options = {} if config.folder is None else {"folder": config.folder}
    with _blaming("data.source"):
        images = load_images(config.source, data_dir=config.data_dir, image_size=config.image_size, **options)
    if not len(images.train_images) or not len(images.test_images):
        raise ScenarioError(
            f"data.source: {config.source!r} must have images for training and for testing, "
            f"got {len(images.train_images)} and {len(images.test_images)}"
        )
    return images


def _make_data(config: schema.Data, scene: Scene, rng: np.random.Generator) -> FederatedData:
    images, num_satellites = _images(config), scene.num_satellites
    # The slice with None takes all of them.
    chosen = rng.permutation(len(images.test_images))[: config.test_samples]
    test_images = torch.from_numpy(images.test_images[chosen])
    if isinstance(config.partition, schema.TaskPartition):
        return _task_data(config.partition, images, test_images, images.test_labels[chosen], num_satellites, rng)
    if isinstance(config.partition, schema.GroundTrackPartition):
        shards = _seen_images(config.partition, images, scene, rng)
    else:
        shards = _split(config.partition, images.train_labels, num_satellites, rng)
    return _image_data(images, test_images, shards)


def _task_data(
    config: schema.TaskPartition,
    images: ImageData,
    test_images: torch.Tensor,
    test_labels: np.ndarray,
    num_satellites: int,
    rng: np.random.Generator,
) -> FederatedData:
    """Every satellite serves one task, in turn; targets are the outputs that stand for the task's labels.

    The classes of a task count the same in its test loss, as in balanced accuracy: the share of positives on board is
    not that of the test set, and a plain mean would mostly measure this difference.
    """
    tasks = [Task(task.name, task.classes) for task in config.tasks]
    turn = np.arange(num_satellites) % len(tasks)
    own = [tasks[index] for index in turn]
    _check_classes(tasks, images)
    low, high = config.samples
    with _blaming("data.partition.samples"):
        shards = draw_task_samples(
            images.train_labels,
            own,
            sizes=rng.integers(low, high + 1, num_satellites).tolist(),
            positive_shares=[config.tasks[index].positive_share for index in turn],
            rng=rng,
        )
    labels = [images.train_labels[shard] for shard in shards]
    alphabet = common_alphabet(tasks)
    outputs = [
        task_letters(task, alphabet) if config.outputs == "alphabet" else np.arange(task.num_outputs) for task in tasks
    ]
    targets = [outputs[index][task_labels(tasks[index], local)] for index, local in zip(turn, labels, strict=True)]
    exists = np.zeros((len(tasks), _num_outputs(config)), dtype=np.bool_)
    for row, columns in zip(exists, outputs, strict=True):
        row[columns] = True
    test_targets = np.stack(
        [columns[task_labels(task, test_labels)] for task, columns in zip(tasks, outputs, strict=True)]
    )
    return FederatedData(
        train=_local_data(images, shards, np.concatenate(targets), torch.from_numpy(exists[turn])),
        label_pmf=np.stack([label_pmf(task, local, alphabet) for task, local in zip(own, labels, strict=True)]),
        test_images=test_images,
        test_targets=torch.from_numpy(test_targets[turn]),
        test_weights=torch.from_numpy(np.stack([_balanced_weights(row) for row in test_targets])[turn]),
        tasks=tuple(task.name for task in own),
    )


def _check_classes(tasks: Sequence[Task], images: ImageData) -> None:
    last = len(images.class_names) - 1
    for index, task in enumerate(tasks):
        if max(task.classes) > last:
            raise ScenarioError(
                f"data.partition.tasks.{index}.classes: must lie in 0..{last} with these images, "
                f"got {list(task.classes)}"
            )


def _image_data(images: ImageData, test_images: torch.Tensor, shards: IndexArrays) -> FederatedData:
    """Images to reconstruct; class labels only shape the split and the label distributions."""
    num_satellites = len(shards)
    num_classes = len(images.class_names)
    counts = np.stack([np.bincount(images.train_labels[shard], minlength=num_classes) for shard in shards])
    return FederatedData(
        train=_local_data(images, shards, images.train_labels[np.concatenate(shards)], None),
        label_pmf=counts / counts.sum(axis=1, keepdims=True),
        test_images=test_images,
        test_targets=torch.zeros(num_satellites, len(test_images), dtype=torch.int64),
        test_weights=torch.full((num_satellites, len(test_images)), 1 / len(test_images)),
    )


def _balanced_weights(targets: np.ndarray) -> np.ndarray:
    """Weights that give every class that occurs the same share, (N,), summing to 1."""
    _, index, counts = np.unique(targets, return_inverse=True, return_counts=True)
    return (1 / (len(counts) * counts[index])).astype(np.float32)


def _seen_images(
    config: schema.GroundTrackPartition, images: ImageData, scene: Scene, rng: np.random.Generator
) -> IndexArrays:
    """What each satellite's sensor swept by day in the span before the episode, `max_samples` at most."""
    # The schema lets nothing else through.
    assert images.train_places_deg is not None
    assert isinstance(scene, ConstellationScene)
    step_s = config.swath_m / _SAMPLES_PER_SWATH / _GROUND_SPEED_MPS
    track = ground_track(scene.orbits, -np.arange(0.0, config.span_s, step_s))
    daylight = track.sun_elevation_deg >= config.min_sun_elevation_deg
    seen = places_under_track(
        images.train_places_deg, track.latitude_deg, track.longitude_deg, daylight, swath_m=config.swath_m
    )
    blind = [satellite for satellite, shard in enumerate(seen) if not len(shard)]
    if blind:
        raise ScenarioError(
            f"data.partition.span_s must be longer than {config.span_s:g} s: "
            f"satellites {blind[:10]} saw no image by day"
        )
    return [rng.permutation(shard)[: config.max_samples] for shard in seen]


def _split(
    config: SharedOut,
    labels: np.ndarray,
    num_satellites: int,
    rng: np.random.Generator,
) -> IndexArrays:
    if isinstance(config, schema.CountsPartition):
        with _blaming("data.partition.counts"):
            return count_split(len(labels), config.counts, rng)
    total = config.total_samples or len(labels)
    if total > len(labels):
        raise ScenarioError(f"data.partition.total_samples must be at most {len(labels)}, got {total}")
    pool = rng.permutation(len(labels))[:total]
    if isinstance(config, schema.EqualPartition):
        with _blaming("data.partition.total_samples"):
            return [pool[shard] for shard in equal_split(total, num_satellites, rng)]
    with _blaming("data.partition.min_samples"):
        shards = dirichlet_split(labels[pool], num_satellites, alpha=config.alpha, rng=rng, min_size=config.min_samples)
    return [pool[shard] for shard in shards]


def _local_data(
    images: ImageData, shards: IndexArrays, targets: np.ndarray, output_mask: torch.Tensor | None
) -> LocalData:
    return LocalData(
        images=torch.from_numpy(images.train_images[np.concatenate(shards)]),
        targets=torch.from_numpy(targets),
        offsets=np.cumsum([0, *map(len, shards)]),
        output_mask=output_mask,
    )


def _num_outputs(config: schema.Partition) -> int:
    """Outputs of a decoder; tasks mask those they have not."""
    if not isinstance(config, schema.TaskPartition):
        return 0
    tasks = [Task(task.name, task.classes) for task in config.tasks]
    return 1 + (
        len(common_alphabet(tasks)) if config.outputs == "alphabet" else max(len(task.classes) for task in tasks)
    )
