"""What every kind of partition can do, and the data of satellites that all do the same."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch

from satfl_env.data import ImageData
from satfl_env.federated import LocalData
from satfl_env.memory import Need
from satfl_env.orbits import Scene
from satfl_env.scenarios.section import Section
from satfl_env.simulation import FederatedData

IndexArray = npt.NDArray[np.int64]


class PartitionSection(Section, ABC):
    """Base class of partition sections, which distribute images over satellites.

    The messages of errors begin with the name of the section's field that they are about.
    """

    def check_classes(self, number: int) -> None:
        """Check what depends on the number of the images' classes alone.

        Raises:
            ValueError: If the partition does not fit as many.
        """

    def check(self, images: ImageData) -> None:
        """Check what does not depend on the satellites.

        Raises:
            ValueError: If the partition does not fit the images.
        """
        self.check_classes(len(images.class_names))

    def num_outputs(self, images: ImageData) -> int:
        """Outputs of a decoder for all classes, or for those of the largest task."""
        return len(images.class_names)

    @abstractmethod
    def most_samples(self, images: ImageData) -> int:
        """The most samples that one satellite can hold, whatever the seed."""

    def memory_needs(self, num_satellites: int, image_numbers: int) -> list[Need]:
        """Memory for what is held beside the image set, with the section's fields; none if it is no more than that set.

        Args:
            num_satellites: Number of satellites, S.
            image_numbers: Numbers in an image; 0 while they are not known.
        """
        return []

    @abstractmethod
    def shards(self, images: ImageData, scene: Scene, rng: np.random.Generator) -> list[IndexArray]:
        """The training images of each satellite, one index array for each.

        Args:
            images: Training and test images.
            scene: The satellites.
            rng: Source of all draws.

        Raises:
            ValueError: If the images cannot be distributed over these satellites.
        """

    def distribute(
        self, images: ImageData, tested: IndexArray, scene: Scene, rng: np.random.Generator
    ) -> FederatedData:
        """The data of one episode, with the test images `tested`.

        Targets are the labels; for models that reconstruct images they only shape the split and the similarity.

        Raises:
            ValueError: If the images cannot be distributed over these satellites.
        """
        shards = self.shards(images, scene, rng)
        counts = [np.bincount(images.train_labels[shard], minlength=len(images.class_names)) for shard in shards]
        test_targets = torch.from_numpy(images.test_labels[tested])
        return FederatedData(
            train=local_data(images, shards, images.train_labels[np.concatenate(shards)]),
            label_pmf=np.stack([count / count.sum() for count in counts]),
            test_images=torch.from_numpy(images.test_images[tested]),
            test_targets=test_targets.repeat(len(shards), 1),
            test_weights=torch.full((len(shards), len(tested)), 1 / len(tested)),
        )


def samples_need(num_satellites: int, samples: int, image_numbers: int, field: str) -> Need:
    """Memory for as many images on each satellite, as float32."""
    return Need("samples", 4 * num_satellites * samples * image_numbers, field)


def local_data(
    images: ImageData, shards: list[IndexArray], targets: IndexArray, output_mask: torch.Tensor | None = None
) -> LocalData:
    """The training images of all satellites with their targets, (N,)."""
    return LocalData(
        images=torch.from_numpy(images.train_images[np.concatenate(shards)]),
        targets=torch.from_numpy(targets),
        offsets=np.cumsum([0, *map(len, shards)]),
        output_mask=output_mask,
    )
