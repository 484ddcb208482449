"""From a validated configuration to a running simulation."""

from __future__ import annotations

from functools import partial

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
    task_labels,
)
from satfl_env.federated import LocalData, SemanticModel, TrainingSettings
from satfl_env.links import IdealLinks, RadioLinks
from satfl_env.orbits import PlanarScene, Scene, uniform_phases
from satfl_env.scenarios import schema
from satfl_env.semantics import Channel, ConvJSCC, MLPLink
from satfl_env.simulation import (
    Battery,
    EnergyDraws,
    FederatedData,
    Ingredients,
    Links,
    OnboardComputer,
    RoundSettings,
    Simulation,
)

IndexArrays = list[np.ndarray]


def build(scenario: schema.Scenario, *, torch_threads: int | None = 1) -> Simulation:
    """Build the simulation that a scenario describes.

    Args:
        scenario: A validated scenario.
        torch_threads: Threads PyTorch may use inside a round; None leaves the process's setting alone.

    Raises:
        ValueError: If the image source is unknown or too small for the scenario.
        FileNotFoundError: If the image source needs a data folder that is not there.
    """
    training, onboard, rounds = scenario.training, scenario.onboard, scenario.rounds
    images = _images(scenario.data)
    ingredients = Ingredients(
        scene=partial(_make_scene, scenario.constellation),
        links=_make_links(scenario.links),
        model_bits=scenario.links.model_bits,
        upload_snr_db=scenario.links.upload_snr_db,
        computer=OnboardComputer(onboard.cpu_max_hz, onboard.cycles_per_sample, onboard.kappa),
        energy=_make_energy(onboard.energy),
        data=partial(_make_data, scenario.data, scenario.constellation.num_satellites),
        model=partial(_make_model, scenario.model, images.train_images.shape[1:], _num_outputs(scenario.data)),
        training=TrainingSettings(
            batch_size=training.batch_size,
            learning_rate=training.learning_rate,
            optimizer=training.optimizer,
            batches_per_epoch=training.batches_per_epoch,
        ),
        test_snr_db=scenario.model.channel.test_snr_db,
        engine=training.engine,
        shared=training.shared,
        first_decoders=training.first_decoders,
        max_epochs=training.max_epochs,
        rounds=RoundSettings(**rounds.model_dump()),
    )
    return Simulation(ingredients, torch_threads=torch_threads)


def _make_scene(config: schema.PlanarConstellation, rng: np.random.Generator) -> Scene:
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
    settings = config.model_dump(exclude={"kind"})
    return EnergyDraws(**settings) if config.kind == "draws" else Battery(**settings)


def _images(config: schema.Data) -> ImageData:
    return load_images(config.source, data_dir=config.data_dir, image_size=config.image_size)


def _make_data(config: schema.Data, num_satellites: int, rng: np.random.Generator) -> FederatedData:
    images = _images(config)
    # The slice with None takes all of them.
    chosen = rng.permutation(len(images.test_images))[: config.test_samples]
    test_images = torch.from_numpy(images.test_images[chosen])
    if isinstance(config.partition, schema.TaskPartition):
        return _task_data(config.partition, images, test_images, images.test_labels[chosen], num_satellites, rng)
    return _image_data(config.partition, images, test_images, num_satellites, rng)


def _task_data(
    config: schema.TaskPartition,
    images: ImageData,
    test_images: torch.Tensor,
    test_labels: np.ndarray,
    num_satellites: int,
    rng: np.random.Generator,
) -> FederatedData:
    """Every satellite serves one task, in turn; targets are the task's own labels.

    The classes of a task count the same in its test loss, as in balanced accuracy: the share of positives on board is
    not that of the test set, and a plain mean would mostly measure this difference.
    """
    tasks = [Task(task.name, task.classes) for task in config.tasks]
    turn = np.arange(num_satellites) % len(tasks)
    own = [tasks[index] for index in turn]
    low, high = config.samples
    shards = draw_task_samples(
        images.train_labels,
        own,
        sizes=rng.integers(low, high + 1, num_satellites).tolist(),
        positive_shares=[config.tasks[index].positive_share for index in turn],
        rng=rng,
    )
    labels = [images.train_labels[shard] for shard in shards]
    targets = [task_labels(task, local) for task, local in zip(own, labels, strict=True)]
    num_outputs = torch.tensor([task.num_outputs for task in own])
    alphabet = common_alphabet(tasks)
    test_targets = np.stack([task_labels(task, test_labels) for task in tasks])
    return FederatedData(
        train=_local_data(
            images, shards, np.concatenate(targets), torch.arange(int(num_outputs.max())) < num_outputs[:, None]
        ),
        label_pmf=np.stack([label_pmf(task, local, alphabet) for task, local in zip(own, labels, strict=True)]),
        test_images=test_images,
        test_targets=torch.from_numpy(test_targets[turn]),
        test_weights=torch.from_numpy(np.stack([_balanced_weights(row) for row in test_targets])[turn]),
    )


def _image_data(
    config: schema.EqualPartition | schema.DirichletPartition | schema.CountsPartition,
    images: ImageData,
    test_images: torch.Tensor,
    num_satellites: int,
    rng: np.random.Generator,
) -> FederatedData:
    """Images to reconstruct, split without overlap; class labels only shape the split and the label distributions."""
    shards = _split(config, images.train_labels, num_satellites, rng)
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


def _split(
    config: schema.EqualPartition | schema.DirichletPartition | schema.CountsPartition,
    labels: np.ndarray,
    num_satellites: int,
    rng: np.random.Generator,
) -> IndexArrays:
    if isinstance(config, schema.CountsPartition):
        return count_split(len(labels), config.counts, rng)
    total = config.total_samples or len(labels)
    if total > len(labels):
        raise ValueError(f"data.partition.total_samples must be at most {len(labels)}, got {total}")
    pool = rng.permutation(len(labels))[:total]
    if isinstance(config, schema.EqualPartition):
        return [pool[shard] for shard in equal_split(total, num_satellites, rng)]
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


def _num_outputs(config: schema.Data) -> int:
    """Outputs of the largest task's decoder; smaller tasks mask the rest."""
    if not isinstance(config.partition, schema.TaskPartition):
        return 0
    return max(len(task.classes) for task in config.partition.tasks) + 1


def _make_model(
    config: schema.MLPLinkModel | schema.ConvJSCCModel,
    image_shape: tuple[int, int, int],
    num_outputs: int,
    generator: torch.Generator,
) -> SemanticModel:
    settings = config.model_dump(exclude={"kind", "channel"})
    channel = Channel(**config.channel.model_dump(exclude={"test_snr_db"}))
    if config.kind == "mlp-link":
        return MLPLink(int(np.prod(image_shape)), num_outputs, channel=channel, generator=generator, **settings)
    return ConvJSCC(image_shape, channel=channel, generator=generator, **settings)
