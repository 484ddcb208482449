"""Classification tasks over shared images and the label distributions that clustering compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from satfl_env.data.images import IntArray


@dataclass(frozen=True)
class Task:
    """Distinguish `classes` from one another and from everything else ("other").

    One class makes a binary task (is it a "2"?), more make a categorical one.

    Attributes:
        name: name of the task.
        classes: labels of the image set, in the order of the task's outputs; "other" comes last.
    """

    name: str
    classes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes) or min(self.classes) < 0:
            raise ValueError(
                f"classes of task {self.name!r}: {self.classes} is not a non-empty tuple of distinct labels >= 0"
            )

    @property
    def num_outputs(self) -> int:
        """Number of outputs a decoder for this task has: its classes and "other"."""
        return len(self.classes) + 1


def task_labels(task: Task, labels: IntArray) -> IntArray:
    """Translate labels of the image set, (N,), to those of a task: 0..len(classes)-1, len(classes) for "other"."""
    is_class = labels[:, None] == np.array(task.classes)
    return np.where(is_class.any(axis=1), is_class.argmax(axis=1), len(task.classes)).astype(np.int64)


def common_alphabet(tasks: Sequence[Task]) -> tuple[int, ...]:
    """Collect the label identities of all tasks in ascending order; "other" is implied as the last letter."""
    return tuple(sorted({label for task in tasks for label in task.classes}))


def task_letters(task: Task, alphabet: Sequence[int]) -> IntArray:
    """Index in the common alphabet of each of a task's labels, (num_outputs,); "other" is its last letter.

    Raises:
        ValueError: a class of the task is missing from the alphabet.
    """
    if missing := set(task.classes) - set(alphabet):
        raise ValueError(f"alphabet: {tuple(alphabet)} lacks {sorted(missing)} of task {task.name!r}")
    return np.array([*(alphabet.index(label) for label in task.classes), len(alphabet)])


def label_pmf(task: Task, labels: IntArray, alphabet: Sequence[int]) -> npt.NDArray[np.float64]:
    r"""Empirical distribution of a task's labels over the common alphabet (Clustered FL-CMT-SemCom, eq. 7).

    $$\pi_i(a) = \frac{|\{(s, z) \in D_i : z = a\}|}{|D_i|}$$

    Letters are label identities, not a task's output indices: indices would make any two binary tasks look alike.
    Labels that the task itself does not distinguish count as "other", even if another task has them.

    Args:
        task: the task of the satellite.
        labels: its labels in the numbering of the image set, shape (N,), N >= 1.
        alphabet: the identities of all tasks, from `common_alphabet`.

    Returns:
        float64 (len(alphabet) + 1,) with sum 1; the last letter is "other".

    Raises:
        ValueError: no labels, or a class of the task is missing from the alphabet.
    """
    if len(labels) == 0:
        raise ValueError(f"labels of task {task.name!r}: empty, at least one is needed for a distribution")
    counts = np.bincount(task_letters(task, alphabet)[task_labels(task, labels)], minlength=len(alphabet) + 1)
    return counts / len(labels)
