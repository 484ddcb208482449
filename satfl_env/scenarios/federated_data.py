"""Data parts: labelled images, distributed over the satellites of an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, ValidationError

from satfl_env.arguments import checked_integer
from satfl_env.data import load_images, own_images
from satfl_env.orbits import Scene
from satfl_env.scenarios.errors import ScenarioError, prefixed
from satfl_env.scenarios.explain import problem_lines
from satfl_env.scenarios.partitions import Partition
from satfl_env.scenarios.schema import Data
from satfl_env.simulation import FederatedData

_PARTITION: TypeAdapter[Partition] = TypeAdapter(Annotated[Partition, Field(discriminator="kind")])


class FederatedImages:
    """Labelled images and how they are distributed: a data part, `(scene, rng) -> FederatedData`.

    The test images are the same for all satellites. Without tasks every satellite classifies all classes or
    reconstructs its images; a partition of kind `tasks` assigns the tasks to the satellites in turn.

    Args:
        train: Training set: a tuple (images, labels), an object with attributes `images` and `labels`, or a dataset
            like torchvision's; see `satfl_env.data.own_images`. Integers of 8 and 16 bits without a sign are scaled to
            [0, 1], other numbers are taken as they are. Arrays of float32 are not copied, so leave them as they are.
        test: Test set.
        partition: As `data.partition` of a scenario: a mapping like `{"kind": "dirichlet", "alpha": 0.5}`, or one
            of its sections.
        test_samples: Test images of an episode, drawn anew for each; None, or more than there are, means all.
        class_names: Name of each label; None names them by their numbers.
        places_deg: Latitude and longitude of each training image's centre, (N, 2), for the kind `ground-track`.

    Raises:
        TypeError: If a set has none of these forms, or `test_samples` is no integer.
        ValueError: If a set or the partition is not valid; the message names the field, its value and what is allowed.
            What depends on the satellites is checked by the call.
    """

    def __init__(
        self,
        train: Any,
        test: Any,
        *,
        partition: Partition | Mapping[str, Any],
        test_samples: int | None = None,
        class_names: Sequence[str] | None = None,
        places_deg: npt.ArrayLike | None = None,
    ) -> None:
        if test_samples is not None:
            checked_integer("test_samples", test_samples, 1)
        self.images = own_images(train, test, class_names=class_names, places_deg=places_deg)
        self.partition = _checked(partition)
        self.test_samples = test_samples
        with prefixed("partition."):
            self.partition.check(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.images.train_images.shape[1:]
        return channels, height, width

    @property
    def num_outputs(self) -> int:
        """Outputs of a decoder for all classes, or for those of the largest task."""
        return self.partition.num_outputs(self.images)

    @property
    def max_samples(self) -> int:
        """The most samples that one satellite can hold, whatever the seed."""
        return self.partition.most_samples(self.images)

    def __call__(self, scene: Scene, rng: np.random.Generator) -> FederatedData:
        """The data of one episode.

        Args:
            scene: Its satellites.
            rng: Source of all draws.

        Raises:
            ValueError: If the images cannot be distributed over these satellites; the message names the field.
        """
        # The slice with None takes all of them.
        tested = rng.permutation(len(self.images.test_images))[: self.test_samples]
        with prefixed("partition."):
            return self.partition.distribute(self.images, tested, scene, rng)


class ScenarioImages(FederatedImages):
    """The data part that a scenario describes. A copy of it loads the images again instead of copying them.

    Args:
        config: The scenario's section.

    Raises:
        ScenarioError: If the source has no images, or the partition does not fit them; the message names the field.
        FileNotFoundError: If the image source needs a data folder that is not there.
    """

    def __init__(self, config: Data) -> None:
        self._config = config
        with prefixed("data.source: ", ScenarioError):
            images = load_images(
                config.source, data_dir=config.data_dir, image_size=config.image_size, **config.folder_options
            )
        if not len(images.train_images) or not len(images.test_images):
            raise ScenarioError(
                f"data.source: {config.source!r} must have images for training and for testing, "
                f"got {len(images.train_images)} and {len(images.test_images)}"
            )
        with prefixed("data.", ScenarioError):
            super().__init__(
                (images.train_images, images.train_labels),
                (images.test_images, images.test_labels),
                partition=config.partition,
                test_samples=config.test_samples,
                class_names=images.class_names,
                places_deg=images.train_places_deg,
            )

    def __call__(self, scene: Scene, rng: np.random.Generator) -> FederatedData:
        """The data of one episode, as of `FederatedImages`.

        Raises:
            ScenarioError: If the images cannot be distributed over these satellites; the message names the field.
        """
        with prefixed("data.", ScenarioError):
            return super().__call__(scene, rng)

    def __reduce__(self) -> tuple[type[ScenarioImages], tuple[Data]]:
        return type(self), (self._config,)


def _checked(partition: Partition | Mapping[str, Any]) -> Partition:
    """The partition as a section of a scenario."""
    try:
        return _PARTITION.validate_python(partition)
    except ValidationError as error:
        lines = (line.removeprefix("data.") for line in problem_lines(error, ("data", "partition")))
        raise ValueError("; ".join(lines)) from error
