"""Testing the models the satellites hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LARGEST_USABLE, LocalData, is_usable, take_rows
from satfl_env.simulation.federated_data import FederatedData
from satfl_env.simulation.models import distinct
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

    def of_rows(self, which: IntArray) -> Evaluation:
        """The results of some of the rows, (R,)."""
        metrics = {name: values[which] for name, values in self.metrics.items()}
        return Evaluation(self.loss[which], metrics, self.untestable[which])

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


class Tester(Protocol):
    """Tests models; what is no number or very large is left to `Evaluation`."""

    def test(self, jobs: Sequence[EvaluationJob]) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Loss (D,) and metrics, each (D,), of the models of all jobs in turn; each job has at least one."""

    def mean_losses(self, models: Tensor, data: LocalData, draws: Iterable[Any]) -> FloatArray:
        """Mean loss of each satellite's model, (S, P), on its own samples under its draw of the channel, (S,)."""


def evaluate(tester: Tester, job: EvaluationJob) -> Evaluation:
    """Test models on the test labels of their satellites."""
    return evaluate_each(tester, [job])[0]


def evaluate_each(tester: Tester, jobs: Sequence[EvaluationJob]) -> list[Evaluation]:
    """The results of several jobs, which are tested in one go; see `evaluate`."""
    distinct_jobs, stands_for = zip(*map(_distinct_models, jobs), strict=True)
    tested = [job for job in distinct_jobs if len(job.satellites)]
    loss, metrics = tester.test(tested) if tested else (np.zeros(0), {})
    test = Evaluation.of(loss, metrics)
    first = accumulate((len(job.satellites) for job in distinct_jobs), initial=0)
    return [test.of_rows(start + which) for start, which in zip(first, stands_for, strict=False)]


def _distinct_models(job: EvaluationJob) -> tuple[EvaluationJob, IntArray]:
    """The test of those models of a job that differ, D of them, and which of them stands for each of all, (R,)."""
    if job.data.train.output_mask is not None or not len(job.satellites):
        return job, np.arange(len(job.satellites))
    # Without tasks of their own, satellites that hold the same model have the same result.
    first: dict[bytes, int] = {}
    holds = [first.setdefault(row.tobytes(), index) for index, row in enumerate(job.models.numpy())]
    rows, which = distinct(np.array(holds))
    return job._replace(models=take_rows(job.models, rows), satellites=job.satellites[rows]), which


def training_loss(
    tester: Tester,
    held: Tensor,
    data: LocalData,
    draw_channel: Callable[[int, torch.Generator], Any],
    generator: torch.Generator,
) -> FloatArray:
    """Mean loss of each satellite's model, parameters `held` (S, P), on its own training samples, (S,).

    What is no number, or larger, counts 1e12.

    Args:
        tester: Tests the models.
        held: Parameters, (S, P).
        data: The data of all satellites.
        draw_channel: Draws the channel of some number of samples.
        generator: Generator of the channels.
    """
    draws = (draw_channel(count, generator) for count in data.samples.tolist())
    losses = tester.mean_losses(held, data, draws)
    return np.where(is_usable(losses), losses, LARGEST_USABLE)
