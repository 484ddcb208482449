"""Testing the models the satellites hold, all in one batched forward pass."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LARGEST_USABLE, MODELS_AT_ONCE, Layout, LocalData, TrainableModel, is_usable
from satfl_env.simulation.ingredients import FederatedData
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Evaluation:
    """Results of a test, all finite.

    A model cannot be tested if its loss or one of its metrics is no number, or its loss is larger than 1e12. Its loss
    counts 1e12, and its metrics count 0, or what they were before if that was less: diverging never pays.

    Attributes:
        loss: Test loss, (S,).
        metrics: Test metrics, each (S,).
        untestable: Satellites whose model cannot be tested, (S,).
    """

    loss: FloatArray
    metrics: Mapping[str, FloatArray]
    untestable: BoolArray

    @classmethod
    def of(cls, loss: FloatArray, metrics: Mapping[str, FloatArray]) -> Evaluation:
        """What a loss (S,) and metrics (S,) count, whatever they are."""
        untestable = ~is_usable(loss)
        for values in metrics.values():
            untestable |= np.isnan(values)
        limit = LARGEST_USABLE
        counted = {name: np.where(untestable, 0.0, values.clip(-limit, limit)) for name, values in metrics.items()}
        return cls(np.where(untestable, limit, loss), counted, untestable)

    def updated(self, satellites: IntArray, test: Evaluation) -> Evaluation:
        """These results, with newer ones for the satellites (R,) that have been tested again."""
        if not len(satellites):
            return self
        loss, untestable = self.loss.copy(), self.untestable.copy()
        loss[satellites], untestable[satellites] = test.loss, test.untestable
        metrics = {name: values.copy() for name, values in self.metrics.items()}
        for name, values in test.metrics.items():
            least = np.fmin(values, metrics[name][satellites])
            metrics[name][satellites] = np.where(test.untestable, least, values)
        return Evaluation(loss, metrics, untestable)


class EvaluationJob(NamedTuple):
    """The test of some of one simulation's satellites.

    Attributes:
        models: The model of each of them, (R, P).
        satellites: Their indices, (R,).
        data: What they are tested on.
        draw: One channel draw for the whole test set, the same for every satellite and round, so that differences
            between two evaluations come from the models alone.
    """

    models: Tensor
    satellites: IntArray
    data: FederatedData
    draw: Any


def evaluate(model: TrainableModel, layout: Layout, jobs: Sequence[EvaluationJob]) -> list[Evaluation]:
    """Test the models of all jobs together on their satellites' test labels; the results are in the jobs' order."""
    if not any(len(job.models) for job in jobs):
        return [Evaluation.of(np.zeros(0), {}) for _ in jobs]
    if len({job.data.test_images.shape for job in jobs}) > 1:
        # Images of several shapes or numbers do not stack.
        return [evaluate(model, layout, [job])[0] for job in jobs]
    distinct, rows, which = zip(*(_distinct_models(job) for job in jobs), strict=True)
    # A model to test is a job and a row of its data.
    owner = torch.repeat_interleave(torch.tensor([len(models) for models in distinct]))
    row, models = torch.cat(rows), torch.cat(distinct)
    chunks = [
        _evaluate_chunk(model, layout, models[chunk], jobs, owner[chunk], row[chunk])
        for chunk in torch.arange(len(models)).split(MODELS_AT_ONCE)
    ]
    loss = np.concatenate([one for one, _ in chunks])
    metrics = {name: np.concatenate([values[name] for _, values in chunks]) for name in chunks[0][1]}
    first = np.cumsum([0, *map(len, distinct)])
    return [
        Evaluation.of(loss[place], {name: values[place] for name, values in metrics.items()})
        for place in (start + index.numpy() for start, index in zip(first[:-1], which, strict=True))
    ]


def _distinct_models(job: EvaluationJob) -> tuple[Tensor, Tensor, Tensor]:
    """The models to test, (D, P), a satellite for each, (D,), and which of them each satellite has, (R,)."""
    satellites = torch.from_numpy(job.satellites)
    if job.data.train.output_mask is not None or not len(satellites):
        return job.models, satellites, torch.arange(len(satellites))
    # Without tasks of their own, satellites that hold the same model have the same result.
    models, which = torch.unique(job.models, dim=0, return_inverse=True)
    return models, torch.arange(len(models)), which


def _evaluate_chunk(
    model: TrainableModel, layout: Layout, models: Tensor, jobs: Sequence[EvaluationJob], owner: Tensor, row: Tensor
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Loss and metrics of some models, as they come out."""
    data = [job.data for job in jobs]
    images = _common([part.test_images for part in data], owner)
    draw = type(jobs[0].draw)(*(_common(parts, owner) for parts in zip(*(job.draw for job in jobs), strict=True)))
    targets = _own([part.test_targets for part in data], owner, row)
    weights = _own([part.test_weights for part in data], owner, row)
    masks = [part.train.output_mask for part in data if part.train.output_mask is not None]
    mask = _own(masks, owner, row) if masks else None
    with torch.no_grad():
        outputs = model.stacked_forward(layout.split(models), images, draw)
        loss = (model.sample_loss(outputs, images, targets, mask) * weights).sum(dim=1)
        metrics = model.metrics(outputs, images, targets, mask)
    return loss.double().numpy(), {name: value.double().numpy() for name, value in metrics.items()}


def _common(parts: Sequence[Tensor], owner: Tensor) -> Tensor:
    """What all satellites of a job share, one tensor per job, for each model in the chunk."""
    if len(parts) == 1:
        return parts[0].expand(len(owner), *parts[0].shape)
    return torch.stack(list(parts))[owner]


def _own(parts: Sequence[Tensor], owner: Tensor, row: Tensor) -> Tensor:
    """What each satellite has of its own, one tensor per job, for each model in the chunk."""
    return parts[0][row] if len(parts) == 1 else torch.stack(list(parts))[owner, row]


def training_loss(
    model: TrainableModel, layout: Layout, held: Tensor, data: LocalData, generator: torch.Generator
) -> FloatArray:
    """Mean loss of each satellite's model, parameters `held` (S, P), on its own training samples, (S,).

    What is no number, or larger, counts 1e12. The model's own parameters are overwritten.
    """
    losses = np.zeros(len(held))
    with torch.no_grad():
        for satellite, (first, last) in enumerate(itertools.pairwise(data.offsets.tolist())):
            images, targets = data.images[first:last], data.targets[first:last]
            mask = None if data.output_mask is None else data.output_mask[satellite]
            layout.load(model, held[satellite])
            outputs = model(images, model.draw_channel(last - first, generator))
            losses[satellite] = model.sample_loss(outputs, images, targets, mask).mean()
    return np.where(is_usable(losses), losses, LARGEST_USABLE)
