"""Testing the models the satellites hold, in as few batched forward passes as fit into memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import (
    LARGEST_USABLE,
    MODELS_AT_ONCE,
    CompiledTest,
    Hardware,
    Layout,
    LocalData,
    TrainableModel,
    channel_arrays,
    data_on,
    is_usable,
    one_blas_thread,
)
from satfl_env.simulation.ingredients import FederatedData
from satfl_env.simulation.models import distinct, take_rows
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

# Memory bounds the image values of a forward pass: in the largest Swin transformer each of them takes some 500 bytes.
_VALUES_AT_ONCE = 2**25


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


def evaluate(
    model: TrainableModel,
    layout: Layout,
    job: EvaluationJob,
    device: str = Hardware.device,
    compiled: CompiledTest | None = None,
) -> Evaluation:
    """Test models on the test labels of their satellites: by machine code if given, else on the device of `model`."""
    if not len(job.models):
        return Evaluation.of(np.zeros(0), {})
    models, satellites, which = _distinct_models(job)
    if compiled:
        data = job.data
        tests = data.test_images, data.test_targets, data.test_weights, data.train.output_mask
        loss, metrics = _run_compiled(compiled, models, satellites, *tests, job.draw)
    else:
        loss, metrics = _run_chunks(model, layout, job, models, torch.from_numpy(satellites), device)
    return Evaluation.of(loss[which], {name: values[which] for name, values in metrics.items()})


def _distinct_models(job: EvaluationJob) -> tuple[Tensor, IntArray, IntArray]:
    """The models to test, (D, P), a satellite for each, (D,), and which of them each satellite has, (R,)."""
    if job.data.train.output_mask is not None:
        return job.models, job.satellites, np.arange(len(job.satellites))
    # Without tasks of their own, satellites that hold the same model have the same result.
    first: dict[bytes, int] = {}
    holds = [first.setdefault(row.tobytes(), index) for index, row in enumerate(job.models.numpy())]
    rows, which = distinct(np.array(holds))
    return take_rows(job.models, rows), job.satellites[rows], which


def _run_compiled(
    compiled: CompiledTest,
    models: Tensor,
    satellites: IntArray,
    images: Tensor,
    targets: Tensor,
    weights: Tensor,
    output_mask: Tensor | None,
    draw: Any,
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Loss and metrics of models by machine code; arguments as those of its `EvaluationKernel`."""
    rows = np.ascontiguousarray(models.numpy())
    mask = np.empty((len(weights), 0), np.bool_) if output_mask is None else output_mask.numpy()
    results = np.empty((len(rows), 1 + len(compiled.metrics)))
    with one_blas_thread():
        compiled.kernel(
            rows,
            satellites,
            np.ascontiguousarray(images.flatten(1).numpy(), rows.dtype),
            np.ascontiguousarray(targets.numpy(), np.int64),
            np.ascontiguousarray(weights.numpy(), rows.dtype),
            np.ascontiguousarray(mask),
            channel_arrays(draw, rows.dtype),
            results,
        )
    loss, *values = results.T
    return loss, dict(zip(compiled.metrics, values, strict=True))


def _run_chunks(
    model: TrainableModel, layout: Layout, job: EvaluationJob, models: Tensor, satellites: Tensor, device: str
) -> tuple[FloatArray, dict[str, FloatArray]]:
    at_once = min(MODELS_AT_ONCE, max(1, _VALUES_AT_ONCE // job.data.test_images.numel()))
    chunks = [
        _evaluate_chunk(model, layout, job, *chunk, device)
        for chunk in zip(models.split(at_once), satellites.split(at_once), strict=True)
    ]
    loss = np.concatenate([one for one, _ in chunks])
    return loss, {name: np.concatenate([values[name] for _, values in chunks]) for name in chunks[0][1]}


def _evaluate_chunk(
    model: TrainableModel, layout: Layout, job: EvaluationJob, models: Tensor, satellites: Tensor, device: str
) -> tuple[FloatArray, dict[str, FloatArray]]:
    data = job.data
    images, *draw = (part.to(device).expand(len(models), *part.shape) for part in (data.test_images, *job.draw))
    targets, weights = (part[satellites].to(device) for part in (data.test_targets, data.test_weights))
    mask = None if data.train.output_mask is None else data.train.output_mask[satellites].to(device)
    parameters = layout.split(models.to(device))
    with torch.no_grad():
        outputs = _outputs(partial(model.stacked_forward, parameters), images, type(job.draw)(*draw), 1)
        loss = (model.sample_loss(outputs, images, targets, mask) * weights).sum(dim=1)
        metrics = model.metrics(outputs, images, targets, mask)
    return loss.double().cpu().numpy(), {name: value.double().cpu().numpy() for name, value in metrics.items()}


def _outputs(forward: Callable[[Tensor, Any], Tensor], images: Tensor, draw: Any, axis: int) -> Tensor:
    """Outputs for images and their draws, which lie along an axis, in as few forward passes as fit into memory."""
    at_once = max(1, _VALUES_AT_ONCE * images.shape[axis] // images.numel())
    passes = zip(*(part.split(at_once, axis) for part in (images, *draw)), strict=True)
    outputs = [forward(part, type(draw)(*of_channel)) for part, *of_channel in passes]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, axis)


def training_loss(
    model: TrainableModel,
    layout: Layout,
    held: Tensor,
    data: LocalData,
    generator: torch.Generator,
    device: str = Hardware.device,
    compiled: CompiledTest | None = None,
) -> FloatArray:
    """Mean loss of each satellite's model, parameters `held` (S, P), on its own training samples, (S,).

    What is no number, or larger, counts 1e12. It is computed by machine code if given; else the own parameters of the
    model, which is on the device, are overwritten.
    """
    losses, data = np.zeros(len(held)), data_on(device, data)
    with torch.no_grad():
        for satellite, (first, last) in enumerate(itertools.pairwise(data.offsets.tolist())):
            images, targets = data.images[first:last], data.targets[first:last]
            mask = None if data.output_mask is None else data.output_mask[satellite]
            draw = model.draw_channel(last - first, generator)
            if compiled:
                losses[satellite] = _own_loss(compiled, held[satellite, None], images, targets, mask, draw)
                continue
            # At the start of an episode satellites mostly hold equal models.
            if satellite == 0 or not torch.equal(held[satellite], held[satellite - 1]):
                layout.load(model, held[satellite].to(device))
            outputs = _outputs(model, images, type(draw)(*(part.to(device) for part in draw)), 0)
            losses[satellite] = model.sample_loss(outputs, images, targets, mask).mean()
    return np.where(is_usable(losses), losses, LARGEST_USABLE)


def _own_loss(
    compiled: CompiledTest, model: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None, draw: Any
) -> float:
    """Mean loss of one model (1, P) on the samples of its satellite, by machine code."""
    weights = torch.full((1, len(targets)), 1 / len(targets))
    mask = None if output_mask is None else output_mask[None]
    loss, _ = _run_compiled(compiled, model, np.zeros(1, np.int64), images, targets[None], weights, mask, draw)
    return float(loss[0])
