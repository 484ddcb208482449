"""Local training as a self-contained job, so that jobs of several simulations can be done as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated import LocalData, LocalObjective, LocalTrainer, TrainingResult
from satfl_env.simulation.state import IntArray


class TrainingJob(NamedTuple):
    """The arguments of `LocalTrainer.train`.

    Attributes:
        parameters: Where the satellites start, (S, P).
        data: Their data.
        epochs: Local epochs of each, (S,).
        seeds: Seed of each satellite's batches and channel noise, (S,).
        objective: What they minimise beside their loss; None means nothing.
    """

    parameters: Tensor
    data: LocalData
    epochs: IntArray
    seeds: NDArray[np.uint64]
    objective: LocalObjective | None = None


class JointTraining:
    """Trains the satellites of several jobs as those of one."""

    def __init__(self) -> None:
        self._parts: list[LocalData] = []
        self._joined: LocalData | None = None
        # Memory is reused: fresh pages cost more than the copy itself.
        self._parameters = torch.empty(0, 0)

    def train(self, trainer: LocalTrainer, jobs: Sequence[TrainingJob]) -> list[TrainingResult]:
        """The results of the jobs, in their order."""
        result = trainer.train(
            self._start([job.parameters for job in jobs]),
            self._join([job.data for job in jobs]),
            np.concatenate([job.epochs for job in jobs]),
            np.concatenate([job.seeds for job in jobs]),
            LocalObjective.concatenate([job.objective for job in jobs]),
        )
        ends = np.cumsum([0, *(len(job.parameters) for job in jobs)]).tolist()
        return [
            TrainingResult(
                parameters=result.parameters[first:last],
                last_loss=result.last_loss[first:last],
                diverged=result.diverged[first:last],
                batches=result.batches[first:last],
                mean_gradient=None if result.mean_gradient is None else result.mean_gradient[first:last],
            )
            for first, last in pairwise(ends)
        ]

    def _start(self, parameters: list[Tensor]) -> Tensor:
        """Where the satellites of all jobs start, until the next round."""
        shape = sum(map(len, parameters)), parameters[0].shape[1]
        if self._parameters.shape != shape or self._parameters.dtype != parameters[0].dtype:
            self._parameters = parameters[0].new_empty(shape)
        return torch.cat(parameters, out=self._parameters)

    def _join(self, parts: list[LocalData]) -> LocalData:
        """The data of all jobs; the same object for the same data, since trainers may keep it on a device."""
        if self._joined is None or list(map(id, parts)) != list(map(id, self._parts)):
            masks = [part.output_mask for part in parts if part.output_mask is not None]
            self._parts, self._joined = (
                parts,
                LocalData(
                    images=torch.cat([part.images for part in parts]),
                    targets=torch.cat([part.targets for part in parts]),
                    offsets=np.cumsum([0, *np.concatenate([part.samples for part in parts])]),
                    output_mask=torch.cat(masks) if masks else None,
                ),
            )
        return self._joined
