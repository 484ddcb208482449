"""The reference engine: one satellite after the other, with plain modules and optimisers."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env.federated.hardware import data_on
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.objective import Guide
from satfl_env.federated.parameters import Layout
from satfl_env.federated.schedule import draw_epochs
from satfl_env.federated.trainer import RowTrainer, Shard, TrainedRows
from satfl_env.federated.usable import usable_models
from satfl_env.imports import import_tidily


class LoopTrainer(RowTrainer):
    """Trains the satellites one by one."""

    def train_rows(self, rows: Tensor, data: LocalData, shard: Shard) -> TrainedRows:
        """Train the satellites of a shard; see `RowTrainer.train_rows`."""
        device = self.hardware.device
        import_tidily("torch._dynamo")  # the first optimizer would import it
        data, worker = data_on(device, data), copy.deepcopy(self.model)
        last_loss = np.empty(len(rows))
        gradients: list[Tensor] = []
        for index in range(len(rows)):
            own, start = shard.part(np.array([index])), rows[index].to(device)
            guide = None if own.objective is None else Guide(own.objective, start[None])
            self.layout.load(worker, start)
            last_loss[index], steps = self._train_one(worker, data, own, guide)
            rows[index] = self.layout.flatten(worker)
            if guide is not None:
                gradients.append(guide.mean_gradient(steps))
        usable = usable_models(self.model, self.layout, rows, data, shard.satellites)
        mean_gradient = torch.cat(gradients) if gradients else None
        return TrainedRows(rows, last_loss, usable & np.isfinite(last_loss), mean_gradient)

    def _train_one(
        self, worker: TrainableModel, data: LocalData, shard: Shard, guide: Guide | None
    ) -> tuple[float, NDArray[np.int64]]:
        """Train `worker` as the one satellite of a shard.

        Returns:
            Its mean loss over the last epoch, not finite if it diverged, and the steps of its round, (1,).
        """
        (satellite,), (seed,) = shard.satellites.tolist(), shard.seeds.tolist()
        own = slice(data.offsets[satellite], data.offsets[satellite + 1])
        images, targets = data.images[own], data.targets[own]
        mask = None if data.output_mask is None else data.output_mask[satellite]
        (samples,), _, (used,), (begun,), (batches,), (steps,) = (each.tolist() for each in shard.work)
        optimizer = _fresh_optimizer(worker, self.settings)
        losses: list[Tensor] = []
        for order, channel in draw_epochs(worker, samples, used, begun, seed):
            for first in range(0, used, self.settings.batch_size)[: steps - len(losses)]:
                batch = slice(first, first + self.settings.batch_size)
                chosen = order[batch].to(images.device)
                draw = type(channel)(*(part[batch].to(images.device) for part in channel))
                loss = worker.sample_loss(worker(images[chosen], draw), images[chosen], targets[chosen], mask)
                optimizer.zero_grad()
                loss.mean().backward()
                if guide is not None:
                    _guide(worker, self.layout, guide)
                optimizer.step()
                losses.append(loss.detach())
            if not np.isfinite(float(losses[-1].sum())):
                break
        return float(torch.cat(losses[-batches:]).mean()), shard.work.steps


def _guide(worker: TrainableModel, layout: Layout, guide: Guide) -> None:
    """Add the gradient of an objective's terms to that of the loss, parameter by parameter."""
    parameters = dict(worker.named_parameters())
    flat = torch.cat([_gradient(parameters[name]).flatten() for name in layout.names])
    whole = guide.guided(layout.flatten(worker)[None], flat[None])
    for name, gradient in layout.split(whole).items():
        # Fused optimizers need it laid out in memory as the parameter is.
        parameters[name].grad = torch.empty_like(parameters[name]).copy_(gradient[0])


def _gradient(parameter: Tensor) -> Tensor:
    """The gradient of a parameter; zeros for one that the model does not use."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _fresh_optimizer(model: TrainableModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    parameters = [parameter for _, parameter in model.named_parameters()]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, settings.learning_rate, fused=True)
    return torch.optim.Adam(parameters, settings.learning_rate, fused=True)
