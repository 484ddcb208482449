"""The partition of kind `tasks`: satellites that classify different things."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator

from satfl_env.data import ImageData, Task, common_alphabet, draw_task_samples, label_pmf, task_labels, task_letters
from satfl_env.memory import Need
from satfl_env.orbits import Scene
from satfl_env.scenarios.errors import prefixed
from satfl_env.scenarios.partition_section import IndexArray, PartitionSection, local_data, samples_need
from satfl_env.scenarios.section import Section
from satfl_env.settings import Count, Finite, Whole
from satfl_env.simulation import FederatedData


class TaskConfig(Section):
    """A classification task: the classes it distinguishes (all others are "other") and how often they occur."""

    name: Annotated[str, Field(min_length=1)]
    classes: Annotated[tuple[Whole, ...], Field(min_length=1)]
    positive_share: Annotated[Finite, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _distinct_classes(self) -> TaskConfig:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must be distinct, got {list(self.classes)}")
        return self


class TaskPartition(PartitionSection):
    """Tasks are assigned to the satellites in turn; each draws its own samples, their number from a range.

    `outputs` of decoders are numbered task by task ("own") or by the common alphabet of all labels ("alphabet").
    With the latter one output means the same label everywhere, and a task masks the labels it does not distinguish.
    """

    kind: Literal["tasks"] = "tasks"
    tasks: Annotated[tuple[TaskConfig, ...], Field(min_length=1)]
    samples: tuple[Count, Count]
    outputs: Literal["own", "alphabet"] = "own"

    @model_validator(mode="after")
    def _consistent(self) -> TaskPartition:
        low, high = self.samples
        if low > high:
            raise ValueError(f"samples must be [lowest, highest] with lowest <= highest, got [{low}, {high}]")
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError(f"task names must be distinct, got {names}")
        return self

    def check_classes(self, number: int) -> None:
        """Check that the tasks distinguish classes of the images."""
        last = number - 1
        for index, task in enumerate(self.tasks):
            if max(task.classes) > last:
                raise ValueError(
                    f"tasks.{index}.classes: must lie in 0..{last} with these images, got {list(task.classes)}"
                )

    def num_outputs(self, images: ImageData) -> int:
        """Outputs of a decoder for the largest task, or for all labels."""
        if self.outputs == "alphabet":
            return len(self._alphabet) + 1
        return max(task.num_outputs for task in self._tasks)

    def most_samples(self, images: ImageData) -> int:
        """The end of the range."""
        return self.samples[1]

    def memory_needs(self, num_satellites: int, image_numbers: int) -> list[Need]:
        """Memory for what satellites draw at most: they may draw the same images."""
        return [samples_need(num_satellites, self.samples[1], image_numbers, "samples")]

    def shards(self, images: ImageData, scene: Scene, rng: np.random.Generator) -> list[IndexArray]:
        """Samples that each satellite draws for its task."""
        turn, (low, high), tasks = self._turn(scene), self.samples, self._tasks
        with prefixed("samples: "):
            return draw_task_samples(
                images.train_labels,
                [tasks[index] for index in turn],
                sizes=rng.integers(low, high + 1, len(turn)).tolist(),
                positive_shares=[self.tasks[index].positive_share for index in turn],
                rng=rng,
            )

    def distribute(
        self, images: ImageData, tested: IndexArray, scene: Scene, rng: np.random.Generator
    ) -> FederatedData:
        """The data of one episode; targets are the outputs that stand for the task's labels.

        The classes of a task count equally in its test loss, as in balanced accuracy: the share of positives on board
        is not that of the test set, and a plain mean would mostly measure this difference.
        """
        turn, tasks, alphabet, outputs = self._turn(scene), self._tasks, self._alphabet, self._outputs()
        shards = self.shards(images, scene, rng)
        own = [tasks[index] for index in turn]
        labels = [images.train_labels[shard] for shard in shards]
        targets = [outputs[index][task_labels(tasks[index], local)] for index, local in zip(turn, labels, strict=True)]
        exists = np.zeros((len(tasks), self.num_outputs(images)), dtype=np.bool_)
        for row, columns in zip(exists, outputs, strict=True):
            row[columns] = True
        test_labels = images.test_labels[tested]
        test_targets = np.stack(
            [columns[task_labels(task, test_labels)] for task, columns in zip(tasks, outputs, strict=True)]
        )
        return FederatedData(
            train=local_data(images, shards, np.concatenate(targets), torch.from_numpy(exists[turn])),
            label_pmf=np.stack([label_pmf(task, local, alphabet) for task, local in zip(own, labels, strict=True)]),
            test_images=torch.from_numpy(images.test_images[tested]),
            test_targets=torch.from_numpy(test_targets[turn]),
            test_weights=torch.from_numpy(np.stack([_balanced_weights(row) for row in test_targets])[turn]),
            tasks=tuple(task.name for task in own),
        )

    @property
    def _tasks(self) -> list[Task]:
        return [Task(task.name, task.classes) for task in self.tasks]

    @property
    def _alphabet(self) -> tuple[int, ...]:
        return common_alphabet(self._tasks)

    def _turn(self, scene: Scene) -> IndexArray:
        """Task of each satellite, (S,)."""
        return np.arange(scene.num_satellites) % len(self.tasks)

    def _outputs(self) -> list[IndexArray]:
        """The outputs that stand for the labels of each task."""
        if self.outputs == "alphabet":
            alphabet = self._alphabet
            return [task_letters(task, alphabet) for task in self._tasks]
        return [np.arange(task.num_outputs) for task in self._tasks]


def _balanced_weights(targets: IndexArray) -> npt.NDArray[np.float32]:
    """Weights that give every class that occurs the same share, (N,), summing to 1."""
    counts = np.bincount(targets)
    return (1 / (np.count_nonzero(counts) * counts[targets])).astype(np.float32)
