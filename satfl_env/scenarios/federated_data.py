"""Data parts: labelled images, distributed over the satellites of an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, TypeAdapter, ValidationError

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
    own_images,
    places_under_track,
    task_labels,
    task_letters,
)
from satfl_env.federated import LocalData
from satfl_env.orbits import ConstellationScene, Scene, ground_track
from satfl_env.scenarios import schema
from satfl_env.scenarios.loader import ScenarioError, blaming
from satfl_env.simulation import FederatedData

IndexArrays = list[npt.NDArray[np.int64]]
SharedOut = schema.EqualPartition | schema.DirichletPartition | schema.CountsPartition

# Satellites in low orbits sweep the ground at some 7 km/s; the next sample comes before half a swath has passed.
_SAMPLES_PER_SWATH, _GROUND_SPEED_MPS = 2, 7500.0
_PARTITION: TypeAdapter[schema.Partition] = TypeAdapter(Annotated[schema.Partition, Field(discriminator="kind")])


class FederatedImages:
    """Labelled images and how they are distributed: a data part, `(scene, rng) -> FederatedData`.

    The test images are the same for all satellites. Without tasks every satellite classifies all classes or
    reconstructs its images; a partition of kind `tasks` assigns the tasks to the satellites in turn.

    Args:
        train: Training set: a tuple (images, labels), an object with attributes `images` and `labels`, or a dataset
            like torchvision's; see `satfl_env.data.own_images`. Bytes (uint8) are scaled to [0, 1], other numbers are
            taken as they are.
        test: Test set.
        partition: As `data.partition` of a scenario: a mapping like `{"kind": "dirichlet", "alpha": 0.5}`, or one
            of its sections.
        test_samples: Test images of an episode, drawn anew for each; None, or more than there are, means all.
        class_names: Name of each label; None names them by their numbers.
        places_deg: Latitude and longitude of each training image's centre, (N, 2), for the kind `ground-track`.

    Raises:
        TypeError: If a set has none of these forms.
        ValueError: If a set or the partition is not valid; the message names the field, its value and what is allowed.
            What depends on the satellites is checked by the call.
    """

    def __init__(
        self,
        train: Any,
        test: Any,
        *,
        partition: schema.Partition | Mapping[str, Any],
        test_samples: int | None = None,
        class_names: Sequence[str] | None = None,
        places_deg: npt.ArrayLike | None = None,
    ) -> None:
        if test_samples is not None and test_samples < 1:
            raise ValueError(f"test_samples: {test_samples} is not an integer >= 1, or None")
        self.images = own_images(train, test, class_names=class_names, places_deg=places_deg)
        self.partition = _checked(partition)
        self.test_samples = test_samples
        if isinstance(self.partition, schema.TaskPartition):
            _check_classes(self.partition, self.images)
        if self.partition.kind == "ground-track" and self.images.train_places_deg is None:
            raise ValueError("places_deg: must be given with a partition of kind 'ground-track', got None")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.images.train_images.shape[1:]
        return channels, height, width

    @property
    def num_outputs(self) -> int:
        """Outputs of a decoder for all classes, or for those of the largest task."""
        if not isinstance(self.partition, schema.TaskPartition):
            return len(self.images.class_names)
        tasks = _tasks(self.partition)
        if self.partition.outputs == "alphabet":
            return len(common_alphabet(tasks)) + 1
        return max(task.num_outputs for task in tasks)

    @property
    def max_samples(self) -> int:
        """The most samples that one satellite can hold, whatever the seed."""
        partition, available = self.partition, len(self.images.train_labels)
        if isinstance(partition, schema.TaskPartition):
            return partition.samples[1]
        if isinstance(partition, schema.GroundTrackPartition):
            return partition.max_samples
        # Without overlap, no satellite can hold more than all samples.
        if isinstance(partition, schema.CountsPartition):
            return sum(partition.counts)
        return partition.total_samples or available

    def __call__(self, scene: Scene, rng: np.random.Generator) -> FederatedData:
        """The data of one episode.

        Args:
            scene: Its satellites.
            rng: Source of all draws.

        Raises:
            ScenarioError: If the images cannot be distributed over these satellites; the message names the field.
        """
        # The slice with None takes all of them.
        chosen = rng.permutation(len(self.images.test_images))[: self.test_samples]
        if isinstance(self.partition, schema.TaskPartition):
            return self._task_data(self.partition, chosen, scene.num_satellites, rng)
        if isinstance(self.partition, schema.GroundTrackPartition):
            return self._class_data(_seen_images(self.partition, self.images, scene, rng), chosen)
        return self._class_data(_split(self.partition, self.images.train_labels, scene.num_satellites, rng), chosen)

    def _class_data(self, shards: IndexArrays, chosen: npt.NDArray[np.int64]) -> FederatedData:
        """Targets are the labels; for models that reconstruct images they only shape the split and the similarity."""
        images, num_satellites = self.images, len(shards)
        counts = [np.bincount(images.train_labels[shard], minlength=len(images.class_names)) for shard in shards]
        test_targets = torch.from_numpy(images.test_labels[chosen])
        return FederatedData(
            train=self._local_data(shards, images.train_labels[np.concatenate(shards)], None),
            label_pmf=np.stack([count / count.sum() for count in counts]),
            test_images=torch.from_numpy(images.test_images[chosen]),
            test_targets=test_targets.repeat(num_satellites, 1),
            test_weights=torch.full((num_satellites, len(chosen)), 1 / len(chosen)),
        )

    def _task_data(
        self, config: schema.TaskPartition, chosen: npt.NDArray[np.int64], num_satellites: int, rng: np.random.Generator
    ) -> FederatedData:
        """Tasks are assigned to the satellites in turn; targets are the outputs that stand for the task's labels.

        The classes of a task count equally in its test loss, as in balanced accuracy: the share of positives on board
        is not that of the test set, and a plain mean would mostly measure this difference.
        """
        images, tasks = self.images, _tasks(config)
        turn = np.arange(num_satellites) % len(tasks)
        own = [tasks[index] for index in turn]
        low, high = config.samples
        with blaming("data.partition.samples"):
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
            task_letters(task, alphabet) if config.outputs == "alphabet" else np.arange(task.num_outputs)
            for task in tasks
        ]
        targets = [outputs[index][task_labels(tasks[index], local)] for index, local in zip(turn, labels, strict=True)]
        exists = np.zeros((len(tasks), self.num_outputs), dtype=np.bool_)
        for row, columns in zip(exists, outputs, strict=True):
            row[columns] = True
        test_targets = np.stack(
            [
                columns[task_labels(task, images.test_labels[chosen])]
                for task, columns in zip(tasks, outputs, strict=True)
            ]
        )
        return FederatedData(
            train=self._local_data(shards, np.concatenate(targets), torch.from_numpy(exists[turn])),
            label_pmf=np.stack([label_pmf(task, local, alphabet) for task, local in zip(own, labels, strict=True)]),
            test_images=torch.from_numpy(images.test_images[chosen]),
            test_targets=torch.from_numpy(test_targets[turn]),
            test_weights=torch.from_numpy(np.stack([_balanced_weights(row) for row in test_targets])[turn]),
            tasks=tuple(task.name for task in own),
        )

    def _local_data(
        self, shards: IndexArrays, targets: npt.NDArray[np.int64], output_mask: torch.Tensor | None
    ) -> LocalData:
        return LocalData(
            images=torch.from_numpy(self.images.train_images[np.concatenate(shards)]),
            targets=torch.from_numpy(targets),
            offsets=np.cumsum([0, *map(len, shards)]),
            output_mask=output_mask,
        )


class ScenarioImages(FederatedImages):
    """The data part that a scenario describes. A copy of it loads the images again instead of copying them.

    Args:
        config: The scenario's section.

    Raises:
        ScenarioError: If the source has no images, or the partition does not fit them; the message names the field.
        FileNotFoundError: If the image source needs a data folder that is not there.
    """

    def __init__(self, config: schema.Data) -> None:
        self._config = config
        options = {} if config.folder is None else {"folder": config.folder}
        with blaming("data.source"):
            images = load_images(config.source, data_dir=config.data_dir, image_size=config.image_size, **options)
        if not len(images.train_images) or not len(images.test_images):
            raise ScenarioError(
                f"data.source: {config.source!r} must have images for training and for testing, "
                f"got {len(images.train_images)} and {len(images.test_images)}"
            )
        super().__init__(
            (images.train_images, images.train_labels),
            (images.test_images, images.test_labels),
            partition=config.partition,
            test_samples=config.test_samples,
            class_names=images.class_names,
            places_deg=images.train_places_deg,
        )

    def __reduce__(self) -> tuple[type[ScenarioImages], tuple[schema.Data]]:
        return type(self), (self._config,)


def _checked(partition: schema.Partition | Mapping[str, Any]) -> schema.Partition:
    """The partition as a section of a scenario."""
    try:
        return _PARTITION.validate_python(partition)
    except ValidationError as error:
        problems = (
            f"{'.'.join(['partition', *map(str, problem['loc'])])}: {problem['msg']}, got {problem['input']!r}"
            for problem in error.errors()
        )
        raise ValueError("; ".join(problems)) from error


def _tasks(config: schema.TaskPartition) -> list[Task]:
    return [Task(task.name, task.classes) for task in config.tasks]


def _check_classes(config: schema.TaskPartition, images: ImageData) -> None:
    last = len(images.class_names) - 1
    for index, task in enumerate(config.tasks):
        if max(task.classes) > last:
            raise ScenarioError(
                f"data.partition.tasks.{index}.classes: must lie in 0..{last} with these images, "
                f"got {list(task.classes)}"
            )


def _balanced_weights(targets: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Weights that give every class that occurs the same share, (N,), summing to 1."""
    _, index, counts = np.unique(targets, return_inverse=True, return_counts=True)
    return (1 / (len(counts) * counts[index])).astype(np.float32)


def _seen_images(
    config: schema.GroundTrackPartition, images: ImageData, scene: Scene, rng: np.random.Generator
) -> IndexArrays:
    """What each satellite's sensor swept by day in the span before the episode, `max_samples` at most."""
    if not isinstance(scene, ConstellationScene):
        raise ScenarioError(
            f"data.partition.kind 'ground-track' needs orbits around the Earth, got a {type(scene).__name__}"
        )
    # The constructor lets nothing else through.
    assert images.train_places_deg is not None
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
    config: SharedOut, labels: npt.NDArray[np.int64], num_satellites: int, rng: np.random.Generator
) -> IndexArrays:
    """Shares without overlap, one index array for each satellite."""
    if isinstance(config, schema.CountsPartition):
        if len(config.counts) != num_satellites:
            raise ScenarioError(
                f"data.partition.counts must have {num_satellites} entries (satellites), got {len(config.counts)}"
            )
        with blaming("data.partition.counts"):
            return count_split(len(labels), config.counts, rng)
    total = config.total_samples or len(labels)
    if total > len(labels):
        raise ScenarioError(f"data.partition.total_samples must be at most {len(labels)}, got {total}")
    pool = rng.permutation(len(labels))[:total]
    if isinstance(config, schema.EqualPartition):
        with blaming("data.partition.total_samples"):
            return [pool[shard] for shard in equal_split(total, num_satellites, rng)]
    with blaming("data.partition.min_samples"):
        shards = dirichlet_split(labels[pool], num_satellites, alpha=config.alpha, rng=rng, min_size=config.min_samples)
    return [pool[shard] for shard in shards]
