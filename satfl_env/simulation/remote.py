"""Rounds whose satellites train elsewhere, as clients of another federation.

A server opens a `RemoteRound`, sends each of its jobs to a client, and closes it with their answers. A client answers
by `train_client`, or in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated import LocalObjective, TrainingResult, is_usable, torch_defaults
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.simulation import Simulation
from satfl_env.simulation.state import NetworkState, RoundReport


class ClientJob(NamedTuple):
    """The training of one satellite in a round.

    Attributes:
        parameters: Where it starts, by name.
        epochs: Local epochs, at least 1.
        seed: Seed of its minibatches and channel noise.
        proximal_mu: Weight of the proximal term of FedProx; it counts where there is a shift, which may be zeros.
        shift: A constant in its gradient, over the n federated parameters, (n,), as for SCAFFOLD; None: nothing.
    """

    parameters: Mapping[str, Tensor]
    epochs: int
    seed: int
    proximal_mu: float
    shift: Tensor | None = None


class ClientResult(NamedTuple):
    """What came of it.

    Attributes:
        parameters: The trained parameters, by name.
        last_loss: Mean loss over the last epoch; NaN where it is not known.
        batches: Optimizer steps.
        diverged: Whether training broke off; the update is lost then.
        mean_gradient: Mean gradient of the loss over the steps, (n,), if the job has a shift.
    """

    parameters: Mapping[str, Tensor]
    last_loss: float = np.nan
    batches: int = 0
    diverged: bool = False
    mean_gradient: Tensor | None = None


class RemoteRound:
    """A round of a simulation that has been decided on, and is closed once clients have trained.

    Args:
        simulation: The simulation; it must not be stepped before the round is closed.
        decision: The decision.

    Attributes:
        jobs: What is asked of each satellite that trains, by its number.

    Raises:
        ValueError: If the decision does not fit the state.
        RuntimeError: Before the simulation's first reset or after the last round of its episode.
    """

    def __init__(self, simulation: Simulation, decision: Decision) -> None:
        self._simulation, self._closed = simulation, False
        with torch_defaults(simulation.torch_threads):
            self._opened = simulation.begin(decision)
        job = self._opened.job
        self._trains = (job.epochs > 0) & (job.data.samples > 0)
        self.jobs = {satellite: self._job(satellite) for satellite in np.flatnonzero(self._trains).tolist()}

    def _job(self, satellite: int) -> ClientJob:
        job = self._opened.job
        objective = job.objective
        return ClientJob(
            parameters=self._simulation.layout.named(job.parameters[satellite]),
            epochs=int(job.epochs[satellite]),
            seed=int(job.seeds[satellite]),
            proximal_mu=0.0 if objective is None else objective.proximal_mu,
            shift=None if objective is None else objective.shift[satellite],
        )

    def close(self, results: Mapping[int, ClientResult]) -> tuple[NetworkState, RoundReport]:
        """Aggregate what clients have trained, and end the round as `Simulation.step` does.

        Args:
            results: What came of the jobs, by satellite. One that does not answer, or whose parameters or mean gradient
                are no usable numbers, has diverged: its update is lost.

        Raises:
            ValueError: If a satellite that was asked nothing answers, the parameters are not those of the model, or a
                mean gradient is missing or has another shape; nothing has changed then.
            RuntimeError: If the round is closed already.
        """
        if self._closed:
            raise RuntimeError("the round is closed already; open another one")
        result = self._result(results)
        self._closed = True
        simulation = self._simulation
        with torch_defaults(simulation.torch_threads):
            learned = simulation.learn(self._opened, result)
            return simulation.finish(learned, simulation.evaluate(learned.job))

    def _result(self, results: Mapping[int, ClientResult]) -> TrainingResult:
        job = self._opened.job
        parameters, objective = job.parameters.clone(), job.objective
        gradient = None if objective is None else torch.zeros_like(objective.shift)
        last_loss, batches = np.full(len(parameters), np.nan), np.zeros(len(parameters), dtype=np.int64)
        diverged = self._trains.copy()
        for satellite, one in results.items():
            if satellite not in self.jobs:
                raise ValueError(f"satellite {satellite} answers, but these were asked: {sorted(self.jobs)}")
            row = self._simulation.layout.row(one.parameters)
            if one.diverged:
                continue
            steps = None if gradient is None else _mean_gradient(satellite, one, gradient[satellite].shape)
            if not is_usable(row.numpy()).all() or (steps is not None and not steps.isfinite().all()):
                continue
            parameters[satellite], last_loss[satellite] = row, one.last_loss
            batches[satellite], diverged[satellite] = one.batches, False
            if gradient is not None and steps is not None:
                gradient[satellite] = steps
        return TrainingResult(parameters, last_loss, diverged, batches, gradient)


def _mean_gradient(satellite: int, result: ClientResult, shape: torch.Size) -> Tensor:
    """The mean gradient of a client whose job had a shift."""
    given = result.mean_gradient
    if given is None or given.shape != shape:
        found = "none" if given is None else f"shape {tuple(given.shape)}"
        raise ValueError(f"the mean gradient of satellite {satellite} must have shape {tuple(shape)}, got {found}")
    return given


def train_client(simulation: Simulation, satellite: int, job: ClientJob) -> ClientResult:
    """Train one satellite on its own data, as a round of the simulation would.

    Args:
        simulation: A simulation of the same scenario, reset with the seed of the episode: it has the data.
        satellite: The satellite, in 0..S-1.
        job: What it is asked.

    Raises:
        ValueError: If the parameters are not those of the model.
    """
    objective = None if job.shift is None else LocalObjective(job.shift[None], job.proximal_mu)
    with torch_defaults(simulation.torch_threads):
        result = simulation.trainer.train(
            simulation.layout.row(job.parameters)[None],
            simulation.training_data.of(satellite),
            np.array([job.epochs]),
            np.array([job.seed], dtype=np.uint64),
            objective,
        )
    return ClientResult(
        parameters=simulation.layout.named(result.parameters[0]),
        last_loss=float(result.last_loss[0]),
        batches=int(result.batches[0]),
        diverged=bool(result.diverged[0]),
        mean_gradient=None if result.mean_gradient is None else result.mean_gradient[0],
    )
