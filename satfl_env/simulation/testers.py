"""How models are tested: by PyTorch, or by machine code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated import (
    MODELS_AT_ONCE,
    CompiledTest,
    Layout,
    LocalData,
    TrainableModel,
    channel_arrays,
    map_in_threads,
    one_blas_thread,
)
from satfl_env.simulation.evaluation import EvaluationJob
from satfl_env.simulation.federated_data import FederatedData
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray

# Memory bounds the image values of a forward pass: in the largest Swin transformer each of them takes some 500 bytes.
_VALUES_AT_ONCE = 2**25
# Models whose test takes longer than it takes to start a thread.
_MODELS_PER_THREAD = 32


class TorchTester:
    """Tests by PyTorch, in as few batched forward passes as fit into memory.

    Args:
        model: The model on the device of the test; `mean_losses` overwrites its own parameters.
        layout: Its layout.
        device: Where models are tested.
    """

    def __init__(self, model: TrainableModel, layout: Layout, device: str) -> None:
        self._model, self._layout, self._device = model, layout, device

    def test(self, jobs: Sequence[EvaluationJob]) -> tuple[FloatArray, dict[str, FloatArray]]:
        """See `Tester.test`."""
        chunks = []
        for models, satellites, data, draw in jobs:
            at_once = min(MODELS_AT_ONCE, max(1, _VALUES_AT_ONCE // data.test_images.numel()))
            parts = [slice(first, first + at_once) for first in range(0, len(models), at_once)]
            chunks += [self._test_chunk(models[part], satellites[part], data, draw) for part in parts]
        loss = np.concatenate([one for one, _ in chunks])
        return loss, {name: np.concatenate([values[name] for _, values in chunks]) for name in chunks[0][1]}

    def mean_losses(self, models: Tensor, data: LocalData, draws: Iterable[Any]) -> FloatArray:
        """See `Tester.mean_losses`."""
        device, losses = self._device, np.empty(len(models))
        for satellite, ((first, last), draw) in enumerate(zip(pairwise(data.offsets.tolist()), draws, strict=True)):
            own = data.images[first:last], data.targets[first:last]
            images, targets, *channel = (part.to(device) for part in (*own, *draw))
            mask = None if data.output_mask is None else data.output_mask[satellite].to(device)
            with torch.no_grad():
                self._layout.load(self._model, models[satellite].to(device))
                outputs = _outputs(self._model, images, type(draw)(*channel), 0)
                losses[satellite] = self._model.sample_loss(outputs, images, targets, mask).mean()
        return losses

    def _test_chunk(
        self, models: Tensor, satellites: IntArray, data: FederatedData, draw: Any
    ) -> tuple[FloatArray, dict[str, FloatArray]]:
        own = torch.from_numpy(satellites)
        images, *channel = (
            part.to(self._device).expand(len(models), *part.shape) for part in (data.test_images, *draw)
        )
        targets, weights = (part[own].to(self._device) for part in (data.test_targets, data.test_weights))
        mask = None if data.train.output_mask is None else data.train.output_mask[own].to(self._device)
        parameters = self._layout.split(models.to(self._device))
        with torch.no_grad():
            outputs = _outputs(partial(self._model.stacked_forward, parameters), images, type(draw)(*channel), 1)
            loss = (self._model.sample_loss(outputs, images, targets, mask) * weights).sum(dim=1)
            metrics = self._model.metrics(outputs, images, targets, mask)
        return loss.double().cpu().numpy(), {name: value.double().cpu().numpy() for name, value in metrics.items()}


class CompiledTester:
    """Tests by machine code; threads may share the models, whose results do not depend on it.

    Args:
        compiled: The machine code.
    """

    def __init__(self, compiled: CompiledTest) -> None:
        self._compiled = compiled

    def test(self, jobs: Sequence[EvaluationJob]) -> tuple[FloatArray, dict[str, FloatArray]]:
        """See `Tester.test`."""
        tests = [_Test.of(job) for job in jobs]
        count = sum(len(test.rows) for test in tests)
        results = np.empty((count, 1 + len(self._compiled.metrics)))
        threads = max(1, min(self._compiled.threads, count // _MODELS_PER_THREAD))
        pieces, at = [], 0
        for test in tests:
            own = len(test.rows)
            several = -(-own * threads // count)
            ends = pairwise(own * piece // several for piece in range(several + 1))
            pieces += [(test, slice(first, last), results[at + first : at + last]) for first, last in ends]
            at += own

        def run(piece: tuple[_Test, slice, FloatArray]) -> None:
            test, part, result = piece
            self._compiled.kernel(test.rows[part], test.satellites[part], *test[2:], result)

        with one_blas_thread():
            map_in_threads(threads, run, pieces)
        loss, *values = results.T
        return loss, dict(zip(self._compiled.metrics, values, strict=True))

    def mean_losses(self, models: Tensor, data: LocalData, draws: Iterable[Any]) -> FloatArray:
        """See `Tester.mean_losses`."""
        rows, results = np.ascontiguousarray(models.numpy()), np.empty((len(models), 1 + len(self._compiled.metrics)))
        images, targets = _flat_images(data.images, rows.dtype), np.ascontiguousarray(data.targets.numpy(), np.int64)
        mask, alone = _mask_array(data.output_mask, len(models)), np.zeros(1, np.int64)
        with one_blas_thread():
            for satellite, ((first, last), draw) in enumerate(zip(pairwise(data.offsets.tolist()), draws, strict=True)):
                own, samples = slice(satellite, satellite + 1), slice(first, last)
                self._compiled.kernel(
                    rows[own],
                    alone,
                    images[samples],
                    targets[None, samples],
                    np.full((1, last - first), 1 / (last - first), rows.dtype),
                    mask[own],
                    channel_arrays(draw, rows.dtype),
                    results[own],
                )
        return results[:, 0]


class _Test(NamedTuple):
    """The arguments of an `EvaluationKernel`, up to its results."""

    rows: NDArray[Any]
    satellites: IntArray
    images: NDArray[Any]
    targets: IntArray
    weights: NDArray[Any]
    output_mask: BoolArray
    channel: tuple[NDArray[Any], ...]

    @classmethod
    def of(cls, job: EvaluationJob) -> _Test:
        """Those of a job: contiguous, of the types that the kernel is compiled for, copied where they are not so."""
        models, satellites, data, draw = job
        rows = np.ascontiguousarray(models.numpy())
        return cls(
            rows,
            satellites,
            _flat_images(data.test_images, rows.dtype),
            np.ascontiguousarray(data.test_targets.numpy(), np.int64),
            np.ascontiguousarray(data.test_weights.numpy(), rows.dtype),
            _mask_array(data.train.output_mask, len(data.test_targets)),
            channel_arrays(draw, rows.dtype),
        )


def _flat_images(images: Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Images (N, ...) as an `EvaluationKernel` takes them, (N, pixels)."""
    return np.ascontiguousarray(images.numpy().reshape(len(images), -1), dtype)


def _mask_array(output_mask: Tensor | None, num_satellites: int) -> BoolArray:
    """Which classes exist, (S, C), or (S, 0) where all do."""
    return np.empty((num_satellites, 0), np.bool_) if output_mask is None else np.ascontiguousarray(output_mask.numpy())


def _outputs(forward: Callable[[Tensor, Any], Tensor], images: Tensor, draw: Any, axis: int) -> Tensor:
    """Outputs for images and their draws, which lie along an axis, in as few forward passes as fit into memory."""
    at_once = max(1, _VALUES_AT_ONCE * images.shape[axis] // images.numel())
    passes = zip(*(part.split(at_once, axis) for part in (images, *draw)), strict=True)
    outputs = [forward(part, type(draw)(*of_channel)) for part, *of_channel in passes]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, axis)
