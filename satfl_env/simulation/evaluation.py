"""Testing the models the satellites hold, many in one batched forward pass."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LARGEST_USABLE, MODELS_AT_ONCE, Layout, LocalData, TrainableModel, is_usable
from satfl_env.simulation.ingredients import FederatedData
from satfl_env.simulation.models import distinct, take_rows
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
    """The test of some satellites.

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


def evaluate(model: TrainableModel, layout: Layout, job: EvaluationJob) -> Evaluation:
    """Test models on the test labels of their satellites."""
    if not len(job.models):
        return Evaluation.of(np.zeros(0), {})
    models, satellites, which = _distinct_models(job)
    chunks = [
        _evaluate_chunk(model, layout, job, *chunk)
        for chunk in zip(models.split(MODELS_AT_ONCE), satellites.split(MODELS_AT_ONCE), strict=True)
    ]
    loss = np.concatenate([one for one, _ in chunks])[which]
    metrics = {name: np.concatenate([values[name] for _, values in chunks])[which] for name in chunks[0][1]}
    return Evaluation.of(loss, metrics)


def _distinct_models(job: EvaluationJob) -> tuple[Tensor, Tensor, IntArray]:
    """The models to test, (D, P), a satellite for each, (D,), and which of them each satellite has, (R,)."""
    satellites = torch.from_numpy(job.satellites)
    if job.data.train.output_mask is not None:
        return job.models, satellites, np.arange(len(satellites))
    # Without tasks of their own, satellites that hold the same model have the same result.
    first: dict[bytes, int] = {}
    holds = [first.setdefault(row.tobytes(), index) for index, row in enumerate(job.models.numpy())]
    rows, which = distinct(np.array(holds))
    return take_rows(job.models, rows), satellites[torch.from_numpy(rows)], which


def _evaluate_chunk(
    model: TrainableModel, layout: Layout, job: EvaluationJob, models: Tensor, satellites: Tensor
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Loss and metrics of some models, (D, P), and their satellites, (D,), as they come out."""
    data = job.data
    images, *draw = (part.expand(len(models), *part.shape) for part in (data.test_images, *job.draw))
    targets, weights = data.test_targets[satellites], data.test_weights[satellites]
    mask = None if data.train.output_mask is None else data.train.output_mask[satellites]
    with torch.no_grad():
        outputs = model.stacked_forward(layout.split(models), images, type(job.draw)(*draw))
        loss = (model.sample_loss(outputs, images, targets, mask) * weights).sum(dim=1)
        metrics = model.metrics(outputs, images, targets, mask)
    return loss.double().numpy(), {name: value.double().numpy() for name, value in metrics.items()}


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
