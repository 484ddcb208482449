"""The reference engine: one satellite after the other, with plain modules and optimisers."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from satfl_env.federated.hardware import data_on
from satfl_env.federated.local import LocalData, TrainingSettings
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.schedule import (
    batches_per_epoch,
    batches_per_round,
    draw_epochs,
    epochs_begun,
    samples_per_epoch,
)
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
        for index, (satellite, epochs, seed) in enumerate(zip(*(values.tolist() for values in shard), strict=True)):
            self.layout.load(worker, rows[index].to(device))
            last_loss[index] = self._train_one(worker, data, satellite, epochs, seed)
            rows[index] = self.layout.flatten(worker)
        usable = usable_models(self.model, self.layout, rows, data, shard.satellites)
        return TrainedRows(rows, last_loss, usable & np.isfinite(last_loss))

    def _train_one(self, worker: TrainableModel, data: LocalData, satellite: int, epochs: int, seed: int) -> float:
        """Train `worker` as one satellite; its mean loss over the last epoch, not finite if it diverged."""
        own = slice(data.offsets[satellite], data.offsets[satellite + 1])
        images, targets = data.images[own], data.targets[own]
        mask = None if data.output_mask is None else data.output_mask[satellite]
        samples, round_epochs = data.samples[satellite : satellite + 1], np.array([epochs])
        used = int(samples_per_epoch(samples, self.settings)[0])
        steps = int(batches_per_round(samples, round_epochs, self.settings)[0])
        begun = int(epochs_begun(samples, round_epochs, self.settings)[0])
        optimizer = _fresh_optimizer(worker, self.settings)
        losses: list[Tensor] = []
        for order, channel in draw_epochs(worker, len(images), used, begun, seed):
            for first in range(0, used, self.settings.batch_size)[: steps - len(losses)]:
                batch = slice(first, first + self.settings.batch_size)
                chosen = order[batch].to(images.device)
                draw = type(channel)(*(part[batch].to(images.device) for part in channel))
                loss = worker.sample_loss(worker(images[chosen], draw), images[chosen], targets[chosen], mask)
                optimizer.zero_grad()
                loss.mean().backward()
                optimizer.step()
                losses.append(loss.detach())
            if not np.isfinite(float(losses[-1].sum())):
                break
        return float(torch.cat(losses[-int(batches_per_epoch(samples, self.settings)[0]) :]).mean())


def _fresh_optimizer(model: TrainableModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    parameters = [parameter for _, parameter in model.named_parameters()]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, settings.learning_rate, fused=True)
    return torch.optim.Adam(parameters, settings.learning_rate, fused=True)
